#include "zoo/diffusion/denoiser.h"

#include <cmath>

namespace likely {
namespace {

Tensor sines_and_cosines(std::int64_t steps, std::int64_t waves) {
  require<UsageError>(waves >= 4 && waves % 2 == 0,
                      "diffusion: time has {} features before its layers. Choose an even --width "
                      "of 4 or more.",
                      waves);
  const std::int64_t half = waves / 2;
  std::vector<double> values;
  for (std::int64_t step = 0; step < steps; ++step)
    for (std::int64_t i = 0; i < waves; ++i) {
      const double angle =
          static_cast<double>(step) * std::exp(-std::log(10000.0) * static_cast<double>(i % half) /
                                               static_cast<double>(half - 1));
      values.push_back(i < half ? std::sin(angle) : std::cos(angle));
    }
  return Tensor::of({steps, waves}, values);
}

class MlpDenoiser : public Denoiser {
 public:
  MlpDenoiser(std::int64_t dimensions, std::int64_t steps, std::int64_t width, std::int64_t layers)
      : time_(steps, width, width, 0), out_(width, dimensions, Activation::none, zeros()) {
    add("time", time_);
    for (std::int64_t i = 0; i < layers; ++i) {
      hidden_.push_back(std::make_unique<Linear>(i ? width : dimensions, width));
      of_time_.push_back(std::make_unique<Linear>(width, width));
      add(fmt::format("hidden.{}", i), *hidden_.back());
      add(fmt::format("of_time.{}", i), *of_time_.back());
    }
    add("out", out_);
  }

  Variable operator()(const Variable& x, const StepAndLabels& given, Random*) const override {
    const Variable time = time_(given, x.dtype());
    Variable h = x;
    for (std::size_t i = 0; i < hidden_.size(); ++i)
      h = silu((*hidden_[i])(h) + (*of_time_[i])(time));
    return out_(h);
  }

 private:
  GivenFeatures time_;
  std::vector<std::unique_ptr<Linear>> hidden_, of_time_;
  Linear out_;
};

}  // namespace

GivenFeatures::GivenFeatures(std::int64_t steps, std::int64_t waves, std::int64_t features,
                             std::int64_t labels)
    : waves_(sines_and_cosines(steps, waves)),
      first_(waves, features),
      second_(features, features) {
  add("first", first_);
  add("second", second_);
  if (labels > 0)
    add("label", label_.emplace(labels, features, normal(0.1)));
}

Variable GivenFeatures::operator()(const StepAndLabels& given, DType dtype) const {
  const Variable time = second_(silu(first_(waves_.at(given.step, dtype))));
  return silu(label_ ? time + (*label_)(given.labels) : time);
}

std::unique_ptr<Denoiser> make_mlp(std::int64_t dimensions, std::int64_t steps, std::int64_t width,
                                   std::int64_t layers) {
  return std::make_unique<MlpDenoiser>(dimensions, steps, width, layers);
}

}  // namespace likely
