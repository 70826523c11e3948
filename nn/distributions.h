// Distributions: likelihoods written as likelihoods. log_prob and entropy are per element
// (Bernoulli, Normal) or per row (the others), in nats; samples come from a Draw and carry no
// gradient unless said otherwise. Logits are finite; means and log variances broadcast.
#pragma once
#include "autograd/ops.h"
#include "tensor/random.h"

namespace likely {

class Bernoulli {
 public:
  explicit Bernoulli(Variable logits) : logits_(std::move(logits)) {}
  Variable log_prob(const Variable& x) const;  // x in [0, 1]; a likelihood only where x is 0 or 1
  Variable probability() const;
  Variable entropy() const;
  Variable kl(const Bernoulli& other) const;  // KL(this ‖ other)
  Tensor sample(const Draw& draw) const;

 private:
  Variable logits_;
};

class Normal {
 public:
  Normal(Variable mean, Variable log_variance)
      : mean_(std::move(mean)), log_variance_(std::move(log_variance)) {}
  Variable log_prob(const Variable& x) const;
  Variable entropy() const;
  Variable kl(const Normal& other) const;
  Variable kl_to_standard() const;  // KL(this ‖ N(0, 1))
  // Reparameterised: gradients flow to mean and log variance. `noise` is N(0, 1).
  Variable sample(const Draw& draw) const;
  Variable sample(const Variable& noise) const;
  const Variable& mean() const { return mean_; }
  const Variable& log_variance() const { return log_variance_; }

 private:
  Variable mean_, log_variance_;
};

class Categorical {
 public:
  explicit Categorical(Variable logits) : logits_(std::move(logits)) {}  // [..., classes]
  Variable log_prob(const Tensor& index) const;                          // i64 [...] → [...]
  Variable entropy() const;                                              // [...]
  Variable kl(const Categorical& other) const;                           // [...]
  Tensor sample(const Draw& draw) const;  // i64 [...]: the largest of logits plus Gumbel noise

 private:
  Variable logits_;
};

// Salimans, Karpathy, Chen & Kingma (2017), PixelCNN++: the channels of a pixel, of `levels` evenly
// spaced values from 0 to 1 each, by a mixture of logistics, each of whose means (on the scale from
// -1 to 1) leans on the channels before it.
class DiscretisedLogisticMixture {
 public:
  static std::int64_t parameters(std::int64_t channels, std::int64_t components) {
    return components * (1 + 2 * channels + channels * (channels - 1) / 2);
  }
  // [..., parameters]: so many components at a time, the logits; the mean of each channel; its log
  // scale; and the atanh of what a channel leans on each before it, green on red first.
  DiscretisedLogisticMixture(const Variable& parameters, std::int64_t channels,
                             std::int64_t levels);

  Variable log_prob(const Variable& x) const;  // [..., channels] → [...]
  // Of each value of one channel, given those before it in x [..., channels]: [..., levels].
  Variable log_probabilities(const Variable& x, std::int64_t channel) const;
  Tensor sample(const Draw& component, const Draw& value) const;  // [..., channels]

 private:
  // Of each component, [..., components]; x by channels, on the scale from -1 to 1.
  Variable mean(std::int64_t channel, const Variables& x) const;
  Variable joint(std::int64_t channels, const Variables& x) const;  // log p with the component

  std::int64_t levels_;
  Variable logits_;
  Variables means_, log_scales_, leanings_;
};

}  // namespace likely
