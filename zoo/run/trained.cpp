#include "zoo/run/trained.h"

#include "tensor/streams.h"
#include "zoo/run/program.h"

namespace likely {

namespace {

Checkpoint last_checkpoint(const RunDirectory& run) {
  const CheckpointFolder folder(run.checkpoints());
  require<DataError>(!folder.empty(), "{} has no checkpoint yet. Train it first.", run.path());
  return folder.load([](const std::string& text) { to_stderr("{}\n", text); });
}

}  // namespace

TrainedRun::TrainedRun(const ModelDescription& description, const RunDirectory& run,
                       const GivenSettings& changes)
    : configuration(run.read_configuration(description, changes)),
      device(apply_to_program(configuration)),
      checkpoint_(last_checkpoint(run)),
      facts([&] {
        const std::optional<DataFacts> recorded = recorded_data(checkpoint_.facts);
        return recorded ? *recorded : facts_of(read_data());
      }()),
      trainer(description, configuration, facts, device) {
  trainer.restore(checkpoint_);
  checkpoint_ = {};
}

const DataSet& TrainedRun::read_data() {
  if (!data_)
    data_ = data_of(configuration, device);
  return *data_;
}

const DataSet& TrainedRun::data() {
  const DataFacts now = facts_of(read_data());
  require<DataError>(
      now.image == facts.image && now.levels == facts.levels && now.classes == facts.classes,
      "data: {} has images of {}, {} levels and {} classes now; the run's model was "
      "built for {}, {} and {}. Give back the data that it was trained on.",
      now.name, now.image, now.levels, now.classes, facts.image, facts.levels, facts.classes);
  return *data_;
}

const PointMixture* TrainedRun::modes() {
  return facts.image.rank() == 1 ? data().modes() : nullptr;
}

Figures judge_untrained(const ModelDescription& description, TrainedRun& trained,
                        const Effort& effort) {
  Trainer untrained(description, trained.configuration, trained.facts, trained.device);
  Random random = random_for(Occasion::evaluation, effort.seed, trained.device);
  Figures figures;
  untrained.evaluating([&] {
    figures = judge_samples(trained.data(), untrained.model(), effort.samples, random,
                            effort.reference(), effort.done);
  });
  return figures;
}

}  // namespace likely
