// Optimisers: one pass over the flat buffer of their Parameters, after the finite guard.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/optimiser.h"
#include "nn/parameters.h"

namespace likely {

using Method = std::variant<kernels::Adam, kernels::RmsProp, kernels::Sgd>;

// An optimiser with its moments, its own count of updates, and an average of the values where one
// is kept.
class Optimiser {
 public:
  struct Options {
    Method method = kernels::Adam{};
    kernels::Clip clip = {};
    std::optional<float> average_decay = {};  // EMA of the parameters
    int accumulate = 1;                       // micro-batches an update
    float bound = 0;  // every value is clamped to ± this after an update; 0: none is
  };

  // After the parameters are initialised: the average begins as their copy.
  Optimiser(Parameters& parameters, const Options& options);

  // One update: `loss_of(micro)` is called `accumulate` times and differentiated; gradients add up
  // in the flat buffer (divide the loss by `accumulate` for a mean). Then the before_update hooks,
  // the guard, the pass. `step` is the StepState tensor that all optimisers of a run share; its
  // rate must be set; its update counter is advanced unless the flag is raised. Nothing waits for
  // the device. Returns the loss (the sum over micro-batches), still there.
  Tensor update(Tensor& step, const std::function<Variable(int micro)>& loss_of);

  // Called with segments of about 1 MiB of the flat gradient, in order: where an all-reduce goes.
  void before_update(std::function<void(Tensor segment)> hook) {
    hooks_.push_back(std::move(hook));
  }
  // Another network that loss_of runs. Buffers that the update stages there or in the parameters'
  // own module (running statistics) are committed after the pass, and dropped under the flag.
  void commits(const Module& module) { modules_.push_back(&module); }

  // What a checkpoint holds, as views: "model/<name>", "first/<name>", "second/<name>",
  // "average/<name>" for every parameter, where the method has them, and "count". Copying into them
  // restores the state.
  std::vector<std::pair<std::string, Tensor>> tensors() const;

  Parameters& parameters() const { return parameters_; }
  const Options& options() const { return options_; }
  const kernels::FlatState& state() const { return state_; }
  const Tensor& average() const { return state_.average; }

  // Of an update that the guard stopped for its size, though all of it was finite: what would have
  // overflowed, and where. `found` is what the guard wrote.
  std::string too_large(const StepState& found) const;

 private:
  kernels::GuardLimits limits() const;
  Tensor differentiate(const std::function<Variable(int micro)>& loss_of) const;
  void call_hooks() const;

  Parameters& parameters_;
  Options options_;
  kernels::FlatState state_;
  std::vector<std::function<void(Tensor)>> hooks_;
  std::vector<const Module*> modules_;
};

}  // namespace likely
