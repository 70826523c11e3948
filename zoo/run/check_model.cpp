#include "zoo/run/check_model.h"

#include <numeric>

#include "autograd/check.h"
#include "kernels/copy.h"
#include "kernels/random.h"
#include "zoo/run/program.h"
#include "zoo/run/trainer.h"

namespace likely {
namespace {

constexpr std::int64_t checked_images = 16;  // of the batch
constexpr double bars[] = {1e-7, 1e-6};

Batch first_batch(const Model& model, const DataSet& data, const Tensor& state,
                  std::int64_t count) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  const Draw draw{state, purpose_hash("train/images"), 0};
  Batch batch{kernels::cast(data.batch(Split::train, rows, draw), DType::f64)};
  if (model.classes() > 0)
    batch.condition = data.labels(Split::train, rows);
  return batch;
}

// Moves every parameter a little: where biases are 0, what sees nothing but padding lies on a kink.
void leave_kinks(const Module& module, const Tensor& step) {
  std::uint32_t index = 0;
  for (auto& [name, parameter] : module.parameters()) {
    const Draw draw{step, purpose_hash("check/start"), index++};
    const Variable moved = kernels::normal(parameter.shape(), draw, DType::f64);
    parameter.rebase((Variable(parameter.value()) + moved * 0.01).value(), nullptr);
  }
}

// The parameters of a network in f64, and its loss as a function of them.
Subject subject_of(Model& model, std::size_t number, const Module& module, const Batch& batch,
                   const Tensor& step) {
  Subject subject;
  subject.step = 2e-6;  // a direction of all parameters is long
  std::vector<Parameter> parameters;
  for (auto& [name, parameter] : module.parameters()) {
    subject.at.push_back(parameter.value());
    parameters.push_back(parameter);
  }
  subject.run = [&model, number, parameters, &batch, step](const Variables& leaves) mutable {
    for (std::size_t i = 0; i < leaves.size(); ++i)
      parameters[i].stand_in(leaves[i]);
    Random random(step);  // the same noise whenever it is asked
    return model.loss(number, batch, random);
  };
  return subject;
}

}  // namespace

std::vector<ModelCheck> check_model(const ModelDescription& description,
                                    const Configuration& configuration, int directions) {
  const Device device = apply_to_program(configuration);
  const std::unique_ptr<DataSet> data = data_of(configuration, device);
  const std::unique_ptr<Model> model =
      description.make(configuration.settings,
                       {configuration.data(), data->image(), data->levels(), data->classes()});
  StepState state;
  state.seed = configuration.seed();
  const Tensor step = make_step_state(state, device);
  const Batch batch =
      first_batch(*model, *data, step, std::min(checked_images, data->size(Split::train)));
  const std::vector<Network> networks = model->networks();
  for (const Network& network : networks) {
    network.module.to(device);
    network.module.initialise(configuration.seed(), network.name);
    network.module.to(DType::f64);
    leave_kinks(network.module, step);
    network.module.freeze();
  }
  std::vector<ModelCheck> checks;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    networks[i].module.freeze(false);
    const Subject subject = subject_of(*model, i, networks[i].module, batch, step);
    for (int order : {1, 2}) {
      const Comparison comparison =
          (order == 1 ? compare_first : compare_second)(subject, directions, configuration.seed());
      checks.push_back({networks.size() > 1 ? networks[i].name : "", order, comparison.error,
                        bars[order - 1], comparison.step});
    }
    for (std::size_t p = 0; p < subject.at.size(); ++p)  // as they were
      networks[i].module.parameters()[p].second.rebase(subject.at[p], nullptr);
    networks[i].module.freeze();
  }
  return checks;
}

std::string to_line(const std::string& model, const ModelCheck& check) {
  return fmt::format("{}: loss{}, {} order: error {:.1e}, bar {:.0e}, h {:.0e}: {}", model,
                     check.network.empty() ? "" : " of " + check.network,
                     check.order == 1 ? "first" : "second", check.error, check.bar, check.step,
                     check.passed() ? "ok" : "WRONG");
}

}  // namespace likely
