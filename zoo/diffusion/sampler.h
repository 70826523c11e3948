// How a trained diffusion is run backwards: from noise to samples, in as many steps as are asked
// for.
#pragma once
#include <vector>

#include "zoo/diffusion/noise_schedule.h"

namespace likely {

enum class Sampler {
  ancestral,  // Ho et al. 2020, algorithm 2; on fewer steps as Nichol & Dhariwal 2021, section 4
  ddim,       // Song, Meng & Ermon 2021, equation 12
  dpm_solver  // Lu et al. 2022, DPM-Solver++(2M): of second order, multistep
};

struct Sampling {
  Sampler sampler = Sampler::ancestral;
  std::int64_t steps = 1000;                                // at most the schedule's
  ReverseVariance variance = ReverseVariance::fixed_large;  // of the ancestral sampler
  double eta = 0;  // of DDIM: 0 is deterministic, 1 has the posterior's variance
  // Times with less signal √ᾱ_t are left out: x̂_0 divides an error of the network
  // by it. The cosine schedule ends at 5e-5, where that is all there is. 0 where x̂_0 is clamped.
  double least_signal = 0;
};
// Lu et al. (2022) begin the cosine schedule at 0.9946 T for this reason, where the signal is
// 0.008; the linear schedule of 1000 steps ends with 0.006, and is whole with this.
constexpr double least_signal_of_points = 0.004;

// One step back from time t: x ← of_x x + of_x0 x̂_0 + of_last x̂_0' + noise z, where x̂_0 is what the
// network takes the data to be, and x̂_0' what it took it to be one step before.
struct BackwardStep {
  std::int64_t t;
  double of_x, of_x0, of_last = 0, noise = 0;
};

// From t = T, or from the last time with signal enough, unless the ancestral sampler takes all
// times, as published; after the last step x is the sample. The times are even.
std::vector<BackwardStep> backward_steps(const NoiseSchedule& schedule, const Sampling& how);

}  // namespace likely
