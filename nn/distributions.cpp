#include "nn/distributions.h"

#include <cmath>
#include <numbers>

#include "kernels/random.h"
#include "kernels/softmax.h"

namespace likely {

Variable Bernoulli::log_prob(const Variable& x) const { return bernoulli_log_prob(x, logits_); }

Variable Bernoulli::probability() const { return sigmoid(logits_); }

// With log p = -softplus(-l) and log (1 - p) = -softplus(l) nothing cancels, however large l is.
Variable Bernoulli::entropy() const {
  return sigmoid(logits_) * softplus(-logits_) + sigmoid(-logits_) * softplus(logits_);
}

Variable Bernoulli::kl(const Bernoulli& other) const {
  return sigmoid(logits_) * (softplus(-other.logits_) - softplus(-logits_)) +
         sigmoid(-logits_) * (softplus(other.logits_) - softplus(logits_));
}

Tensor Bernoulli::sample(const Draw& draw) const {
  const NotRecording constant;
  return kernels::bernoulli(probability().value(), draw);
}

Variable Normal::log_prob(const Variable& x) const {
  return normal_log_prob(x, mean_, log_variance_);
}

// ½ (log 2π + 1 + log σ²), whatever the mean
Variable Normal::entropy() const {
  const double constant = 0.5 * (std::log(2 * std::numbers::pi) + 1);
  return expand(0.5 * log_variance_ + constant,
                broadcast("normal", mean_.shape(), log_variance_.shape()));
}

Variable Normal::kl(const Normal& other) const {
  return normal_kl(mean_, log_variance_, other.mean_, other.log_variance_);
}

Variable Normal::kl_to_standard() const { return standard_normal_kl(mean_, log_variance_); }

Variable Normal::sample(const Draw& draw) const {
  const Shape shape = broadcast("normal", mean_.shape(), log_variance_.shape());
  return sample(Variable(kernels::normal(shape, draw, mean_.dtype())));
}

Variable Normal::sample(const Variable& noise) const {
  return reparameterise(mean_, log_variance_, noise);
}

Variable Categorical::log_prob(const Tensor& index) const {
  return categorical_log_prob(logits_, index);
}

Variable Categorical::entropy() const {
  return -sum(softmax(logits_, -1) * log_softmax(logits_, -1), {-1});
}

Variable Categorical::kl(const Categorical& other) const {
  return sum(softmax(logits_, -1) * (log_softmax(logits_, -1) - log_softmax(other.logits_, -1)),
             {-1});
}

Tensor Categorical::sample(const Draw& draw) const {
  return kernels::categorical(logits_.value(), draw);
}

}  // namespace likely
