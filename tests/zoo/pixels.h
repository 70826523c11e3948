// What the tests of models share that give images pixel by pixel.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "nn/parameters.h"
#include "tensor/safetensors.h"
#include "tests/zoo/golden.h"
#include "zoo/autoregressive/pixels.h"

namespace likely {

inline Module& module_of(PixelModel& model) { return model.networks()[0].module; }

// The model in f64, its parameters drawn, biases too: where all of them are 0, nothing depends on
// what is black.
inline std::unique_ptr<PixelModel> in_f64(std::unique_ptr<PixelModel> model) {
  module_of(*model).to(DType::f64);
  module_of(*model).initialise(3);
  std::uint32_t index = 0;
  for (const auto& [name, parameter] : module_of(*model).parameters())
    if (parameter.shape().rank() == 1)
      kernels::copy_into(
          parameter.value(),
          kernels::normal(parameter.shape(),
                          {make_step_state({}), purpose_hash("test/bias"), index++}, DType::f64));
  return model;
}

// Images [count, height, width, channels] whose levels follow no simple pattern.
inline Tensor scattered(std::int64_t count, const Shape& image, std::int64_t levels,
                        DType dtype = DType::f32) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count * image.numel(); ++i)
    values.push_back(static_cast<double>(i * i % 11 * 7 % 13 % levels) /
                     static_cast<double>(levels - 1));
  return kernels::cast(Tensor::of(image.inserted(0, count), values), dtype);
}

// Every image, [levels^elements, height, width, channels] in f64.
inline Tensor all_images(const Shape& image, std::int64_t levels) {
  std::int64_t count = 1;
  for (std::int64_t i = 0; i < image.numel(); ++i)
    count *= levels;
  std::vector<double> values;
  for (std::int64_t number = 0; number < count; ++number)
    for (std::int64_t i = 0, rest = number; i < image.numel(); ++i, rest /= levels)
      values.push_back(static_cast<double>(rest % levels) / static_cast<double>(levels - 1));
  return Tensor::of(image.inserted(0, count), values);
}

inline double total_probability(PixelModel& model, const Shape& image, std::int64_t levels) {
  Random random(make_step_state({}));
  const Likelihood found = model.likelihood(all_images(image, levels), 1, random, {});
  CHECK(found.kind == LikelihoodKind::exact);
  double total = 0;
  for (const double log_prob : found.log_likelihood)
    total += std::exp(log_prob);
  return total;
}

// The elements of an image on which the probabilities of element i depend.
inline std::set<std::int64_t> seen_by(const PixelModel& model, const Shape& image,
                                      std::int64_t levels, std::int64_t i) {
  const Variable x = Variable::leaf(scattered(1, image, levels, DType::f64));
  const Variable one = slice(slice(model.log_probabilities(x, {}), 1, i, i + 1), 2, 0, 1);
  const std::vector<double> slopes =
      kernels::to_doubles(gradients(sum(one), {x}, {}, Recorded::no)[0].value());
  std::set<std::int64_t> seen;
  for (std::int64_t j = 0; j < image.numel(); ++j)
    if (slopes[static_cast<std::size_t>(j)] != 0)
      seen.insert(j);
  return seen;
}

// Element by element the bits are those of a pass over three whole images.
inline void check_prefix(PixelModel& model, const Shape& image, std::int64_t levels,
                         const Tensor& labels = {}) {
  const std::int64_t count = 3, elements = image.numel();
  const Tensor images = scattered(count, image, levels), x = images.reshape({count, elements}),
               whole = model.log_probabilities(images, labels).value();
  CHECK(whole.shape() == Shape{count, elements, levels});
  const auto prefix = model.begin(count, labels);
  for (std::int64_t i = 0; i < elements; ++i) {
    const Tensor next = prefix->log_probabilities();
    CHECK(kernels::to_doubles(next) == kernels::to_doubles(whole.slice(1, i, i + 1)));
    double total = 0;
    for (const double log_prob : kernels::to_doubles(next.slice(0, 0, 1)))
      total += std::exp(log_prob);
    CHECK(total == doctest::Approx(1).epsilon(1e-5));
    prefix->append(kernels::contiguous(x.slice(1, i, i + 1)).reshape({count}));
  }
}

// Logits, loss and gradients are PyTorch's on the same weights.
inline void check_golden(PixelModel& model, const std::string& name) {
  const SafeTensors file = load_safetensors(LIKELY_SOURCE "/tests/interop/" + name);
  Parameters parameters(module_of(model));
  for (const Parameters::Entry& entry : parameters.entries())
    kernels::copy_into(entry.parameter.value(), file.at(entry.name));
  const Tensor expected = file.at("result/logits");  // [n, height, width, channels, outputs]
  const Variable found = model.log_probabilities(file.at("x"), {}),
                 logits = reshape(Variable(expected), {expected.size(0), found.size(1), -1});
  const Variable log_probabilities = expected.size(4) == 1
                                         ? concatenate({-softplus(logits), -softplus(-logits)}, 2)
                                         : log_softmax(logits, 2);
  CHECK(relative_distance(found.value(), log_probabilities.value()) < 1e-5);
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

}  // namespace likely
