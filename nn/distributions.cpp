#include "nn/distributions.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/copy.h"
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
  return kl_term(-softplus(-logits_), -softplus(-other.logits_)) +
         kl_term(-softplus(logits_), -softplus(other.logits_));
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
  return sum(kl_term(log_softmax(logits_, -1), log_softmax(other.logits_, -1)), {-1});
}

Tensor Categorical::sample(const Draw& draw) const {
  return kernels::categorical(logits_.value(), draw);
}

namespace {

Variables by_channel(const Variable& x) {
  return split(x, std::vector<std::int64_t>(static_cast<std::size_t>(x.size(-1)), 1), -1);
}

Variable from_minus_one(const Variable& x) { return 2.0 * x - 1.0; }

}  // namespace

DiscretisedLogisticMixture::DiscretisedLogisticMixture(const Variable& parameters,
                                                       std::int64_t channels, std::int64_t levels)
    : levels_(levels) {
  const std::int64_t parts = DiscretisedLogisticMixture::parameters(channels, 1),
                     components = parameters.size(-1) / parts;
  const Variables all =
      split(parameters, std::vector<std::int64_t>(static_cast<std::size_t>(parts), components), -1);
  const auto end_of = [&](std::int64_t part) { return all.begin() + part; };
  logits_ = all.front();
  means_.assign(end_of(1), end_of(1 + channels));
  for (auto part = end_of(1 + channels); part < end_of(1 + 2 * channels); ++part)
    log_scales_.push_back(clamp(*part, -7, std::numeric_limits<double>::infinity()));
  for (auto part = end_of(1 + 2 * channels); part < all.end(); ++part)
    leanings_.push_back(tanh(*part));
}

// Equation 3.
Variable DiscretisedLogisticMixture::mean(std::int64_t channel, const Variables& x) const {
  Variable result = means_[static_cast<std::size_t>(channel)];
  for (std::int64_t before = 0; before < channel; ++before)
    result = result + leanings_[static_cast<std::size_t>(channel * (channel - 1) / 2 + before)] *
                          x[static_cast<std::size_t>(before)];
  return result;
}

Variable DiscretisedLogisticMixture::joint(std::int64_t channels, const Variables& x) const {
  Variable result = log_softmax(logits_, -1);
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    result = result + discretised_logistic_log_prob(x[i], mean(c, x), log_scales_[i], levels_);
  }
  return result;
}

Variable DiscretisedLogisticMixture::log_prob(const Variable& x) const {
  return log_sum_exp(joint(x.size(-1), by_channel(from_minus_one(x))), -1);
}

Variable DiscretisedLogisticMixture::log_probabilities(const Variable& x,
                                                       std::int64_t channel) const {
  std::vector<double> values;
  for (std::int64_t level = 0; level < levels_; ++level)
    values.push_back(2 * static_cast<double>(level) / static_cast<double>(levels_ - 1) - 1);
  const Variable each =
      kernels::cast(Tensor::of({levels_, 1}, values), x.dtype()).to(x.value().device());
  const Variables before = by_channel(from_minus_one(x));
  const Variable so_far = joint(channel, before);
  const Variable here = discretised_logistic_log_prob(
      each, unsqueeze(mean(channel, before), -2),
      unsqueeze(log_scales_[static_cast<std::size_t>(channel)], -2), levels_);
  return log_sum_exp(unsqueeze(so_far, -2) + here, -1) - log_sum_exp(so_far, -1, Keep::yes);
}

// A channel is its mean and a logistic's log u - log (1 - u), in the nearest of its cells. One
// component is chosen by a row of zeros and a one, for which no device has to wait.
Tensor DiscretisedLogisticMixture::sample(const Draw& component, const Draw& value) const {
  const NotRecording constant;
  std::vector<double> numbers;
  for (std::int64_t k = 0; k < logits_.size(-1); ++k)
    numbers.push_back(static_cast<double>(k));
  const DType dtype = logits_.dtype();
  const auto constant_of = [&](const Tensor& x) {
    return kernels::cast(x, dtype).to(logits_.value().device());
  };
  const Variable number = constant_of(Tensor::of({logits_.size(-1)}, numbers)),
                 drawn = constant_of(kernels::categorical(logits_.value(), component));
  const Variable chosen = relu(1.0 - abs(number - unsqueeze(drawn, -1)));
  const auto channels = static_cast<std::int64_t>(means_.size());
  const Shape shape = logits_.shape().with(logits_.rank() - 1, channels);
  const Variable u = kernels::uniform(shape, value, dtype);
  const Variables noise = by_channel(log(u) - log(1.0 - u));
  const auto most = static_cast<double>(levels_ - 1);
  const Variable divisor = kernels::full({}, most, dtype, u.value().device());
  Variables x, result;
  for (std::size_t c = 0; c < means_.size(); ++c) {
    const auto of_chosen = [&](const Variable& each) {
      return sum(chosen * each, {-1}, Keep::yes);
    };
    const Variable exact = of_chosen(mean(static_cast<std::int64_t>(c), x)) +
                           exp(of_chosen(log_scales_[c])) * noise[c];
    const Variable level = clamp((exact + 1.0) * (most / 2), 0, most) + 0.5;
    const Tensor whole = kernels::cast(level.value(), DType::i64);
    result.push_back(Variable(kernels::cast(whole, dtype)) / divisor);
    x.push_back(from_minus_one(result.back()));
  }
  return concatenate(result, -1).value();
}

}  // namespace likely
