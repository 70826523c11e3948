// Diffusion: the process that turns samples into noise and back, apart from the network that
// denoises.
#pragma once
#include <functional>

#include "zoo/diffusion/sampler.h"
#include "zoo/diffusion/table.h"
#include "zoo/run/sample_space.h"

namespace likely {

// The noise that a network, or a formula, finds in x [n, sample…], at times of which `step` holds
// t - 1, i64 [n].
using PredictNoise = std::function<Variable(const Variable& x, const Tensor& step)>;

// The terms of the bound on -log p(x), nats a sample (equation 5).
struct DiffusionBound {
  std::vector<double> prior, steps, decoder;  // L_T, Σ L_{t-1} over t = 2 … T, L_0; by sample
  std::vector<double> by_stratum;             // the mean of `steps`, in parts that grow with t
  std::vector<double> nats() const;           // their sum, by sample
};

// A diffusion of samples of one space, apart from the network.
class Diffusion {
 public:
  // `levels` of the data's values; 0 where they are continuous.
  Diffusion(const Shape& sample, int levels, const NoiseSchedule& schedule);

  // √ᾱ_t x_0 + √(1 - ᾱ_t) noise (equation 4), each sample at a time of its own.
  Variable diffuse(const Variable& x0, const Tensor& step, const Variable& noise) const;

  // Estimates from `strata` times of each sample, drawn from as many parts of 2 … T, one each,
  // which grow with t; T - 1 or more are all times.
  DiffusionBound bound(const PredictNoise& predict, const Tensor& samples, ReverseVariance variance,
                       std::int64_t strata, Random& random) const;

  // From noise at t = T, in the data's own range.
  Tensor sample(const PredictNoise& predict, const Variable& noise, const Sampling& how,
                Random& random) const;

  SampleSpace space;
  int levels;
  NoiseSchedule schedule;

 private:
  Table signal_, noise_;
};

}  // namespace likely
