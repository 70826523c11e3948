#include "zoo/run/trained.h"

#include "zoo/run/program.h"

namespace likely {

TrainedRun::TrainedRun(const ModelDescription& description, const RunDirectory& run,
                       const GivenSettings& changes)
    : configuration(run.read_configuration(description, changes)),
      device(apply_to_program(configuration)),
      data(data_of(configuration, device)),
      trainer(description, configuration, *data, device) {
  const CheckpointFolder folder(run.checkpoints());
  require<DataError>(!folder.empty(), "{} has no checkpoint yet. Train it first.", run.path());
  trainer.restore(folder.load([](const std::string& text) { fmt::print(stderr, "{}\n", text); }));
}

Figures judge_untrained(const ModelDescription& description, const TrainedRun& trained,
                        const Effort& effort) {
  Trainer untrained(description, trained.configuration, *trained.data, trained.device);
  Random random = random_for(Occasion::evaluation, effort.seed, trained.device);
  Figures figures;
  untrained.evaluating([&] {
    figures = judge_samples(*trained.data, untrained.model(), effort.samples, random,
                            effort.reference(), effort.done);
  });
  return figures;
}

}  // namespace likely
