#include "zoo/run/plan.h"

#include <malloc.h>

#include <nlohmann/json.hpp>

#include "kernels/backend.h"
#include "tensor/allocator.h"
#include "zoo/run/machine.h"
#include "zoo/run/observer.h"
#include "zoo/run/program.h"
#include "zoo/run/progress.h"

namespace likely {
namespace {

// All that a training run does to memory: a first and a later step, the short last batch wherever
// the run meets it, an evaluation while training and one at the end, and pictures.
void rehearse(const ModelDescription& description, const Configuration& configuration, Plan& plan) {
  const Device meta = Device::meta;
  const std::unique_ptr<DataSet> data = data_of(configuration, meta);
  Trainer trainer(description, configuration, *data, meta);
  Observer observer(trainer, configuration, *data, meta);
  plan.parameters = trainer.parameter_count();
  allocator_of(meta).trim();
  allocator_of(meta).reset_peaks();
  {
    const kernels::LaunchLog log;
    trainer.turn();
    plan.flops_a_step = log.flops();
  }
  const std::int64_t a_step = trainer.batches(), an_epoch = trainer.batches_an_epoch(),
                     batches = a_step * configuration.settings.integer("steps");
  trainer.turn();
  // The steps that an epoch's last batch falls into, at any of their `a_step` places.
  for (std::int64_t epoch = 1; an_epoch > 0 && epoch <= a_step && epoch * an_epoch <= batches;
       ++epoch) {
    trainer.skip_to_batch((epoch * an_epoch - 1) / a_step * a_step);
    trainer.turn();
    trainer.turn();
  }
  observer.evaluate(Split::validation);
  {
    const Tensor samples =
        observer.pictures().samples(observer.pictures().usual_count(), configuration.seed());
    const Tensor rebuilt = observer.reconstructions();
  }
  observer.evaluate(Split::test);
  const Allocator::Counters counters = allocator_of(meta).counters();
  plan.peak_bytes = static_cast<std::int64_t>(counters.peak_in_use);
  plan.held_bytes = static_cast<std::int64_t>(counters.peak_held);
}

// What the process holds beside tensors when training begins, with data loaded, kernels and threads
// used. Data without its files is planned all the same: its images are tensors.
std::int64_t fixed_bytes(const Configuration& configuration, Device device) {
  std::unique_ptr<DataSet> data;
  try {
    data = data_of(configuration, device);
  } catch (const DataError&) {
  }
  if (device.kind == Device::cpu)
    measured_peak_flops();
  allocator_of(device).trim();
  malloc_trim(0);
  return resident_bytes() - static_cast<std::int64_t>(allocator_of(device).counters().held);
}

}  // namespace

Plan plan(const ModelDescription& description, const Configuration& configuration) {
  const Device device = apply_to_program(configuration);
  kernels::meta_stands_for(device);
  Plan plan;
  rehearse(description, configuration, plan);
  plan.fixed_bytes = fixed_bytes(configuration, device);
  return plan;
}

std::string Plan::to_json() const {
  const nlohmann::ordered_json json{
      {"parameters", parameters},   {"flops_per_step", flops_a_step},
      {"peak_bytes", peak_bytes},   {"held_bytes", held_bytes},
      {"fixed_bytes", fixed_bytes}, {"resident_bytes", resident_bytes()}};
  return json.dump(2) + "\n";
}

std::string Plan::to_table() const {
  const auto row = [](const char* name, const std::string& value, const std::string& note) {
    return fmt::format("{:<14}{:>16}  {}\n", name, value, note);
  };
  const auto bytes = [&](const char* name, std::int64_t count, const char* note) {
    return row(name, fmt::format("{}", count),
               fmt::format("bytes ({}) {}", bytes_text(static_cast<double>(count)), note));
  };
  return row("parameters", fmt::format("{}", parameters), "") +
         row("step", scaled(flops_a_step), "FLOPs of products and convolutions") +
         bytes("peak", peak_bytes, "of tensors in use at once") +
         bytes("held", held_bytes, "of tensors, with blocks kept for reuse") +
         bytes("fixed", fixed_bytes, "of program, libraries and all else, measured now") +
         bytes("resident", resident_bytes(), "expected: held and fixed");
}

}  // namespace likely
