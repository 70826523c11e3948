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
  std::vector<double> by_part;                // the mean of `steps`, in parts that grow with t
  std::vector<double> nats() const;           // their sum, by sample
};

// A diffusion of samples of one space, apart from the network.
class Diffusion {
 public:
  // `levels` of the data's values; 0 where they are continuous.
  Diffusion(const Shape& sample, int levels, const NoiseSchedule& schedule);

  // √ᾱ_t x_0 + √(1 - ᾱ_t) noise (equation 4), each sample at a time of its own.
  Variable diffuse(const Variable& x0, const Tensor& step, const Variable& noise) const;

  // Estimates from `times` of 2 … T of each sample; T - 1 or more are all. There are as many parts,
  // which grow with t, and one time is drawn from each. But never fewer than `fewest_parts`: the
  // few first times are worth most, and among all of them hardly a sample would see one, so that
  // neither the mean nor its error would show them. Fewer times are drawn from parts of each
  // sample's own, which are its share of all.
  static constexpr std::int64_t fewest_parts = 10;
  DiffusionBound bound(const PredictNoise& predict, const Tensor& samples, ReverseVariance variance,
                       std::int64_t times, Random& random) const;

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
