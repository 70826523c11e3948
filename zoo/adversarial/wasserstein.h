// Wasserstein GANs (Arjovsky, Chintala & Bottou 2017): a critic f whose slope is held back
// maximises E f(x) - E f(G(z)), a generator G maximises E f(G(z)).
#pragma once
#include "zoo/adversarial/adversarial.h"

namespace likely {

using Critic = std::function<Variable(const Variable& x)>;  // [n, sample…] → [n]

// Mean f(real) - mean f(fake): K · W1 at the most, where f is K-Lipschitz.
Variable critic_gap(const Critic& critic, const Variable& real, const Variable& fake);

// ‖∂f/∂x‖₂ of each sample over all its axes, [n]; itself differentiable in the critic's parameters,
// also where nothing else is recorded.
Variable gradient_norms(const Critic& critic, const Tensor& x);

// e real + (1 - e) fake with one e ~ U(0, 1) a sample.
Tensor interpolates(const Tensor& real, const Tensor& fake, const Draw& draw);

class Wasserstein : public Adversarial {
 public:
  struct Options {
    NetworkOptions critic, generator;
    Optimiser::Options critic_optimiser, generator_optimiser;
    std::int64_t critic_steps = 5;  // for each of the generator
  };
  Wasserstein(const Shape& sample, const Options& options);

  std::vector<Network> networks() override;
  Variable loss(std::size_t network, const Batch& batch, Random& random) override;
  Tensor step(StepContext& context) override;
  Diagnosis diagnose(const Tensor& held_out, Random& random) override;

  static constexpr std::size_t critic_place = 0, generator_place = 1;  // in networks()
 protected:
  Critic critic() const { return std::cref(*critic_); }
  // What the critic's loss has beside the gap, and what a diagnosis of a gap on held-out samples
  // can say further.
  virtual Variable penalty(const Tensor& real, const Tensor& fake, Random& random);
  virtual Diagnosis judge(double held_out_gap, const Tensor& real, const Tensor& fake,
                          Random& random) = 0;

 private:
  struct CriticTerms {
    Variable gap, loss;
  };
  CriticTerms critic_terms(const Batch& batch, Random& random);
  Variable gap(const Variable& real, const Variable& fake) const;

  Options options_;
  std::unique_ptr<SampleNetwork> critic_;
};

// The settings of networks and critic that all of these have, and what they say.
std::vector<Setting> wasserstein_settings();
Wasserstein::Options wasserstein_options(const Settings& settings);

}  // namespace likely
