// Optimisers: one pass over the flat buffer of their Parameters, after the finite guard.
#pragma once
#include <functional>
#include <optional>
#include <variant>

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
    kernels::Clip clip;
    std::optional<float> average_decay;  // EMA of the parameters
    int accumulate = 1;                  // micro-batches an update
  };

  Optimiser(Parameters& parameters, Options options);

  // One update: `loss_of(micro)` is called `accumulate` times and differentiated; gradients add up
  // in the flat buffer (divide the loss by `accumulate` for a mean). Then the before_update hooks,
  // the guard, the pass. `step` is the StepState tensor; its rate must be set; its update counter
  // is advanced unless the flag is raised. Returns the loss (the sum over micro-batches), still on
  // the device.
  Tensor update(Tensor& step, const std::function<Variable(int micro)>& loss_of);

  // Called with segments of about 1 MiB of the flat gradient, in order: where an all-reduce goes.
  void before_update(std::function<void(Tensor segment)> hook) {
    hooks_.push_back(std::move(hook));
  }
  // Buffers that the update stages (running statistics): committed by the pass, dropped under the
  // flag.
  void commits(const Module& module);

  Parameters& parameters() { return parameters_; }
  kernels::FlatState& state() { return state_; }
  const Tensor& average() const { return state_.average; }

 private:
  Parameters& parameters_;
  Options options_;
  kernels::FlatState state_;
  std::vector<std::function<void(Tensor)>> hooks_;
  std::vector<const Module*> committed_;
};

}  // namespace likely
