#include "zoo/diffusion/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "tensor/error.h"

namespace likely {

NoiseSchedule::NoiseSchedule(std::vector<double> betas) : beta_(std::move(betas)), alpha_bar_{1} {
  for (std::int64_t t = 1; t <= steps(); ++t)
    alpha_bar_.push_back(alpha_bar_.back() * alpha(t));
}

NoiseSchedule NoiseSchedule::linear(std::int64_t steps) {
  require<UsageError>(steps >= 20,
                      "diffusion: {} steps are too few for the linear schedule, whose "
                      "β is 20 / steps in the end. Use 20 or more, or the cosine schedule.",
                      steps);
  std::vector<double> betas{0};
  const double scale = 1000.0 / static_cast<double>(steps);
  for (std::int64_t i = 0; i < steps; ++i)
    betas.push_back(
        scale * (1e-4 + (0.02 - 1e-4) * static_cast<double>(i) / static_cast<double>(steps - 1)));
  betas.back() = std::min(betas.back(), 0.999);
  return NoiseSchedule(betas);
}

NoiseSchedule NoiseSchedule::cosine(std::int64_t steps) {
  require<UsageError>(steps >= 1, "diffusion: {} steps are none. Use 1 or more.", steps);
  const auto f = [steps](std::int64_t t) {
    const double angle = (static_cast<double>(t) / static_cast<double>(steps) + 0.008) / 1.008 *
                         std::numbers::pi / 2;
    return std::cos(angle) * std::cos(angle);
  };
  std::vector<double> betas{0};
  for (std::int64_t t = 1; t <= steps; ++t)
    betas.push_back(std::min(1 - f(t) / f(t - 1), 0.999));
  return NoiseSchedule(betas);
}

double NoiseSchedule::signal(std::int64_t t) const { return std::sqrt(alpha_bar(t)); }

double NoiseSchedule::noise(std::int64_t t) const { return std::sqrt(1 - alpha_bar(t)); }

double NoiseSchedule::posterior_variance(std::int64_t t) const {
  return (1 - alpha_bar(t - 1)) / (1 - alpha_bar(t)) * beta(t);
}

double NoiseSchedule::variance(std::int64_t t, ReverseVariance how) const {
  if (t == 1)
    return how == ReverseVariance::published && steps() > 1 ? posterior_variance(2) : beta(1);
  return how == ReverseVariance::fixed_small ? posterior_variance(t) : beta(t);
}

double NoiseSchedule::prior_kl(double square_of_x0) const {
  const double kept = alpha_bar(steps());
  return (kept * square_of_x0 - kept - std::log1p(-kept)) / 2;
}

double NoiseSchedule::weight(std::int64_t t, ReverseVariance how) const {
  return beta(t) * beta(t) / (2 * variance(t, how) * alpha(t) * (1 - alpha_bar(t)));
}

double NoiseSchedule::step_kl(std::int64_t t, ReverseVariance how, double squared_error) const {
  const double ratio = posterior_variance(t) / variance(t, how);
  return (ratio - 1 - std::log(ratio)) / 2 + weight(t, how) * squared_error;
}

double NoiseSchedule::decoder_nats(ReverseVariance how, double squared_error) const {
  return std::log(2 * std::numbers::pi * variance(1, how)) / 2 + weight(1, how) * squared_error;
}

namespace {

// log Q(z), what N(0, 1) has above z ≥ 0. From 30 on by the first terms of the asymptotic series,
// which are then right to 10⁻¹¹.
double log_above(double z) {
  if (z < 30)
    return std::log(std::erfc(z / std::numbers::sqrt2) / 2);
  const double s = 1 / (z * z);
  return -z * z / 2 - std::log(z * std::sqrt(2 * std::numbers::pi)) +
         std::log1p(-s * (1 - 3 * s * (1 - 5 * s * (1 - 7 * s))));
}

// log of what lies between, low < high.
double log_between(double low, double high) {
  if (low + high < 0)
    return log_between(-high, -low);
  if (low < 0)
    return std::log((std::erf(high / std::numbers::sqrt2) - std::erf(low / std::numbers::sqrt2)) /
                    2);
  const double above = log_above(low);
  return std::isinf(high) ? above : above + std::log1p(-std::exp(log_above(high) - above));
}

}  // namespace

double discretised_normal_log_prob(double x, double mean, double variance, int levels) {
  const double half = 1.0 / (levels - 1), sd = std::sqrt(variance),
               infinity = std::numeric_limits<double>::infinity();
  const double low = x < -1 + half ? -infinity : (x - half - mean) / sd,
               high = x > 1 - half ? infinity : (x + half - mean) / sd;
  return log_between(low, high);
}

}  // namespace likely
