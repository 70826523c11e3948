#include "zoo/diffusion/sampler.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"

namespace likely {
namespace {

// x_t → x_s with s < t: q(x_s | x_t, x_0) of the schedule that has these two steps alone.
BackwardStep ancestral(const NoiseSchedule& schedule, std::int64_t t, std::int64_t s,
                       ReverseVariance how) {
  const double alpha = schedule.alpha_bar(t) / schedule.alpha_bar(s), beta = 1 - alpha,
               left = 1 - schedule.alpha_bar(t), after = 1 - schedule.alpha_bar(s);
  const double variance = how == ReverseVariance::fixed_small ? beta * after / left : beta;
  return {t, std::sqrt(alpha) * after / left, schedule.signal(s) * beta / left, 0,
          s > 0 ? std::sqrt(variance) : 0};
}

// The predicted noise is (x - √ᾱ_t x̂_0) / √(1 - ᾱ_t).
BackwardStep ddim(const NoiseSchedule& schedule, std::int64_t t, std::int64_t s, double eta) {
  const double left = 1 - schedule.alpha_bar(t), after = 1 - schedule.alpha_bar(s);
  const double variance =
      eta * eta * after / left * (1 - schedule.alpha_bar(t) / schedule.alpha_bar(s));
  const double of_noise = std::sqrt((after - variance) / left);
  return {t, of_noise, schedule.signal(s) - of_noise * schedule.signal(t), 0, std::sqrt(variance)};
}

double half_log_ratio(const NoiseSchedule& schedule, std::int64_t t) {
  return std::log(schedule.signal(t) / schedule.noise(t));  // λ_t
}

// Algorithm 2 of DPM-Solver++; `before` is the time of the step before, 0 where there was none. The
// last step is of first order: x is x̂_0.
BackwardStep dpm_solver(const NoiseSchedule& schedule, std::int64_t t, std::int64_t s,
                        std::int64_t before) {
  if (s == 0)
    return {t, 0, 1};
  const double lambda = half_log_ratio(schedule, t), h = half_log_ratio(schedule, s) - lambda;
  BackwardStep step{t, schedule.noise(s) / schedule.noise(t), -schedule.signal(s) * std::expm1(-h)};
  if (before > 0) {
    const double r = (lambda - half_log_ratio(schedule, before)) / h;
    step.of_last = -step.of_x0 / (2 * r);
    step.of_x0 -= step.of_last;
  }
  return step;
}

// The last time with so much signal.
std::int64_t first_time(const NoiseSchedule& schedule, double least_signal) {
  std::int64_t t = schedule.steps();
  while (t > 1 && schedule.signal(t) < least_signal)
    --t;
  return t;
}

}  // namespace

std::vector<BackwardStep> backward_steps(const NoiseSchedule& schedule, const Sampling& how) {
  const std::int64_t all = schedule.steps();
  require<UsageError>(how.steps >= 1 && how.steps <= all,
                      "sample: {} steps back of a diffusion of {}. Use 1 to {}.", how.steps, all,
                      all);
  require<UsageError>(how.eta >= 0 && how.eta <= 1, "sample: eta is {}. Use 0 to 1.", how.eta);
  const bool published = how.sampler == Sampler::ancestral && how.steps == all;
  const std::int64_t first = published ? all : first_time(schedule, how.least_signal),
                     count = std::min(how.steps, first);
  const auto time = [&](std::int64_t i) {
    return static_cast<std::int64_t>(
        std::llround(static_cast<double>(i * first) / static_cast<double>(count)));
  };
  std::vector<BackwardStep> steps;
  for (std::int64_t i = count; i > 0; --i) {
    const std::int64_t t = time(i), s = time(i - 1);
    switch (how.sampler) {
      case Sampler::ancestral:
        steps.push_back(ancestral(schedule, t, s, how.variance));
        break;
      case Sampler::ddim:
        steps.push_back(ddim(schedule, t, s, how.eta));
        break;
      case Sampler::dpm_solver:
        steps.push_back(dpm_solver(schedule, t, s, i == count ? 0 : time(i + 1)));
        break;
    }
  }
  return steps;
}

}  // namespace likely
