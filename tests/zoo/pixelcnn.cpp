// The gated PixelCNN: beside PyTorch's masked kernels, by enumeration, and by its gradients.
#include "zoo/models/pixelcnn.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "kernels/copy.h"
#include "nn/distributions.h"
#include "nn/parameters.h"
#include "tensor/safetensors.h"
#include "tests/zoo/golden.h"

using namespace likely;

namespace {

// Initialised, in f64.
struct Initialised {
  PixelCnn model;
  Parameters parameters;

  Initialised(const Shape& image, const PixelCnn::Options& options)
      : model(image, options), parameters(initialised(model)) {}

 private:
  static Module& initialised(PixelCnn& model) {
    Module& module = model.networks()[0].module;
    module.to(DType::f64);
    module.initialise(3);
    return module;
  }
};

const Shape small{6, 5, 1};

// Every black and white image of so many pixels, [2^pixels, height, width, 1].
Tensor all_images(const Shape& image) {
  const std::int64_t pixels = image.numel(), count = std::int64_t{1} << pixels;
  std::vector<double> values;
  for (std::int64_t bits = 0; bits < count; ++bits)
    for (std::int64_t i = 0; i < pixels; ++i)
      values.push_back(static_cast<double>(bits >> i & 1));
  return Tensor::of(image.inserted(0, count), values);
}

}  // namespace

TEST_CASE("pixelcnn: logits, loss and gradients agree with PyTorch's masked kernels") {
  const SafeTensors file = load_safetensors(LIKELY_SOURCE "/tests/interop/pixelcnn.safetensors");
  PixelCnn model(small, {.width = 4, .layers = 2});
  Parameters parameters(model.networks()[0].module);
  for (const Parameters::Entry& entry : parameters.entries())
    kernels::copy_into(entry.parameter.value(), file.at(entry.name));
  CHECK(relative_distance(model.logits(file.at("x")).value(), file.at("result/logits")) < 1e-5);
  parameters.begin_update();
  Random random(make_step_state({}));
  const Variable loss = model.loss(0, {file.at("x")}, random);
  CHECK(relative_distance(loss.value(), file.at("result/loss")) < 1e-5);
  backward(loss);
  for (const Parameters::Entry& entry : parameters.entries()) {
    INFO(entry.name);
    CHECK(relative_distance(Parameters::slice(parameters.gradients(), entry),
                            file.at("gradient/" + entry.name)) < 1e-5);
  }
}

TEST_CASE("pixelcnn: the published network has 633,473 parameters") {
  PixelCnn model({28, 28, 1}, {});
  CHECK(model.networks()[0].module.parameter_count() == 633473);
}

TEST_CASE("pixelcnn: the probabilities of all images of 3 x 4 add up to 1") {
  Initialised of({3, 4, 1}, {.width = 5, .layers = 2});
  Random random(make_step_state({}));
  const Likelihood found = of.model.likelihood(all_images({3, 4, 1}), 1, random, {});
  CHECK(found.kind == LikelihoodKind::exact);
  double total = 0;
  for (const double log_prob : found.log_likelihood)
    total += std::exp(log_prob);
  CHECK(std::abs(total - 1) < 1e-12);
}

// Two layers after the first see five pixels up and to every side that is before: no blind spot.
TEST_CASE("pixelcnn: a logit depends on every pixel before its own, and on no other") {
  Initialised of(small, {.width = 16, .layers = 2});
  const std::int64_t pixels = small.numel();
  std::vector<double> values;
  for (std::int64_t i = 0; i < pixels; ++i)
    values.push_back(static_cast<double>(i * i % 7 < 3));
  for (std::int64_t i = 0; i < pixels; ++i) {
    const Variable x = Variable::leaf(Tensor::of(small.inserted(0, 1), values));
    const Variable logit = slice(reshape(of.model.logits(x), {pixels}), 0, i, i + 1);
    const std::vector<double> slopes =
        kernels::to_doubles(gradients(sum(logit), {x}, {}, Recorded::no)[0].value());
    for (std::int64_t j = 0; j < pixels; ++j) {
      INFO(i << " of " << j);
      CHECK((slopes[static_cast<std::size_t>(j)] != 0) == (j < i));
    }
  }
}

TEST_CASE("pixelcnn: pixel by pixel, the probabilities are those of a pass over whole images") {
  PixelCnn model(small, {.width = 6, .layers = 2, .condition = {3, 0}});
  model.networks()[0].module.initialise(3);
  const Tensor labels = Tensor::of({3}, std::vector<std::int64_t>{2, 0, 1});
  const std::int64_t count = 3, pixels = small.numel();
  std::vector<float> values;
  for (std::int64_t i = 0; i < count * pixels; ++i)
    values.push_back(static_cast<float>(i * i % 7 < 3));
  const Tensor x = Tensor::of({count, pixels}, values);
  const Tensor whole = model.log_probabilities(x.reshape(small.inserted(0, count)), labels).value();
  CHECK(whole.shape() == Shape{count, pixels, 2});
  const auto prefix = model.begin(count, labels);
  for (std::int64_t i = 0; i < pixels; ++i) {
    const std::vector<double> next = kernels::to_doubles(prefix->log_probabilities());
    CHECK(next == kernels::to_doubles(whole.slice(1, i, i + 1)));
    CHECK(std::exp(next[0]) + std::exp(next[1]) == doctest::Approx(1));
    prefix->append(kernels::contiguous(x.slice(1, i, i + 1)).reshape({count}));
  }
}

TEST_CASE(
    "pixelcnn: given a label the probabilities add up to 1, and differ from another label's") {
  const Condition condition{3, 0.1};
  Initialised of({3, 3, 1}, {.width = 5, .layers = 2, .condition = condition});
  const Variable x = all_images({3, 3, 1});
  const auto probabilities = [&](std::int64_t label) {
    const Tensor labels = kernels::full({512}, static_cast<double>(label), DType::i64);
    const Variable log_prob = sum(Bernoulli(of.model.logits(x, labels)).log_prob(x), {1, 2, 3});
    return kernels::to_doubles(exp(log_prob).value());
  };
  std::vector<double> mixed(512);
  for (std::int64_t label = 0; label <= 3; ++label) {  // 3: none
    const std::vector<double> given = probabilities(label);
    CHECK(std::accumulate(given.begin(), given.end(), 0.0) == doctest::Approx(1).epsilon(1e-12));
    CHECK(relative_distance(Tensor::of({512}, given), Tensor::of({512}, probabilities(0))) >
          (label == 0 ? -1 : 1e-3));
    for (std::size_t i = 0; i < mixed.size() && label < 3; ++i)
      mixed[i] += given[i] / 3;
  }
  Random random(make_step_state({}));
  const Likelihood found = of.model.likelihood(x.value(), 1, random, {});
  for (std::size_t i = 0; i < mixed.size(); ++i)
    CHECK(std::exp(found.log_likelihood[i]) == doctest::Approx(mixed[i]).epsilon(1e-12));
}
