// NoiseSchedule: how a diffusion turns data into noise, and what follows from it in closed form.
#pragma once
#include <cstdint>
#include <vector>

namespace likely {

// The variance σ_t² of a step back, of which no network decides (Ho et al. 2020, section 3.2).
enum class ReverseVariance {
  fixed_large,  // β_t at every step: the best for data of variance 1
  fixed_small,  // β̃_t, the posterior's; at the last step, where that is 0, β_1
  published     // as the authors' code: β_t, but β̃_2 at the last step
};

// q(x_t | x_{t-1}) = N(√(1 - β_t) x_{t-1}, β_t) for t = 1 … T: so with α_t = 1 - β_t and
// ᾱ_t = Π α_s, q(x_t | x_0) = N(√ᾱ_t x_0, 1 - ᾱ_t) (equation 4). All in f64; variances and nats are
// of one dimension.
class NoiseSchedule {
 public:
  // β from 10⁻⁴ to 0.02 where T is 1000, and as much noise in all where it is not.
  static NoiseSchedule linear(std::int64_t steps);
  // Nichol & Dhariwal 2021, equation 17: ᾱ_t ~ cos²; β_t at most 0.999.
  static NoiseSchedule cosine(std::int64_t steps);

  std::int64_t steps() const { return static_cast<std::int64_t>(beta_.size()) - 1; }  // T
  double beta(std::int64_t t) const { return beta_.at(static_cast<std::size_t>(t)); }
  double alpha(std::int64_t t) const { return 1 - beta(t); }
  // t from 0, where it is 1
  double alpha_bar(std::int64_t t) const { return alpha_bar_.at(static_cast<std::size_t>(t)); }
  double signal(std::int64_t t) const;                         // √ᾱ_t
  double noise(std::int64_t t) const;                          // √(1 - ᾱ_t)
  double posterior_variance(std::int64_t t) const;             // β̃_t (equation 7)
  double variance(std::int64_t t, ReverseVariance how) const;  // σ_t²

  // KL(q(x_T | x_0) ‖ N(0, 1)): L_T.
  double prior_kl(double square_of_x0) const;
  // KL(q(x_{t-1} | x_t, x_0) ‖ p(x_{t-1} | x_t)) for t ≥ 2, where the network's noise is off by
  // this much, squared: L_{t-1} (equations 8 and 12), with what the variances differ by.
  double step_kl(std::int64_t t, ReverseVariance how, double squared_error) const;
  // The factor of the squared error in it, and at t = 1 in -log of the decoder's density.
  double weight(std::int64_t t, ReverseVariance how) const;
  // -log of the decoder's density N(x_0; μ(x_1), σ_1²): L_0 of continuous data.
  double decoder_nats(ReverseVariance how, double squared_error) const;

 private:
  explicit NoiseSchedule(std::vector<double> betas);
  std::vector<double> beta_, alpha_bar_;  // by t, from 0
};

// log of what N(mean, variance) gives to all that is rounded to x, one of `levels` values that are
// even from -1 to 1 (equation 13); the outermost take the tails. Exact also far away from the mean.
double discretised_normal_log_prob(double x, double mean, double variance, int levels);

}  // namespace likely
