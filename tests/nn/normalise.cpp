// Layers that normalise: PyTorch's convention of running statistics, and when they are written.
#include "nn/normalise.h"

#include <doctest/doctest.h>

#include "tests/nn/networks.h"

using namespace likely;

namespace {

// Two values a channel: means 2 and -1, unbiased variances 2 and 8.
Variable two_rows() { return Variable(tensor({2, 2}, {1, -3, 3, 1})); }

struct Network : Module {
  Network() : norm(add("norm", norm_)) { initialise(1); }
  BatchNorm norm_{2};
  BatchNorm& norm;
};

}  // namespace

TEST_CASE("batch_norm: running statistics follow the batches, the variance unbiased") {
  BatchNorm norm(2);
  norm.initialise(1);
  const auto y = doubles(norm(two_rows()).value());
  CHECK(y[0] == doctest::Approx(-1 / std::sqrt(1 + 1e-5)));
  CHECK(y[3] == doctest::Approx(2 / std::sqrt(4 + 1e-5)));
  CHECK(doubles(norm.running_mean.value())[0] == doctest::Approx(0.1 * 2));
  CHECK(doubles(norm.running_mean.value())[1] == doctest::Approx(0.1 * -1));
  CHECK(doubles(norm.running_variance.value())[0] == doctest::Approx(0.9 + 0.1 * 2));
  CHECK(doubles(norm.running_variance.value())[1] == doctest::Approx(0.9 + 0.1 * 8));
  norm(two_rows());  // a second forward of the same update reads what the first has staged
  CHECK(doubles(norm.running_mean.value())[0] == doctest::Approx(0.19 * 2));
}

TEST_CASE("batch_norm: evaluation uses the running statistics and writes none") {
  BatchNorm norm(2);
  norm.initialise(1);
  norm.running_mean.rebase(tensor({2}, {1, -1}));
  norm.running_variance.rebase(tensor({2}, {4, 0.25}));
  norm.train(false);
  const auto y = doubles(norm(two_rows()).value());
  CHECK(y[0] == doctest::Approx(0));
  CHECK(y[2] == doctest::Approx(2 / std::sqrt(4 + 1e-5)));
  CHECK(y[3] == doctest::Approx(2 / std::sqrt(0.25 + 1e-5)));
  CHECK(doubles(norm.running_mean.value()) == std::vector<double>{1, -1});
}

TEST_CASE("batch_norm: an update commits what was staged, and drops it where it is not finite") {
  Network network;
  Parameters parameters(network);
  Optimiser optimiser(parameters, {.method = kernels::Sgd{}});
  Tensor step = step_at(0.01);
  const Tensor committed = network.norm.running_mean.value();
  const auto loss = [&](double factor) {
    return [&network, factor](int) { return sum(square(network.norm(two_rows()))) * factor; };
  };
  optimiser.update(step, loss(HUGE_VAL));
  CHECK(doubles(committed) == std::vector<double>{0, 0});
  step = step_at(0.01);
  optimiser.update(step, loss(1));
  CHECK(doubles(committed)[0] == doctest::Approx(0.2));
  CHECK(network.norm.running_mean.value().same_view(committed));
}

TEST_CASE("batch_norm: a recomputed forward stages once") {
  BatchNorm norm(2);
  norm.initialise(1);
  const Variable x = Variable::leaf(two_rows().value());
  const Variable y = recompute([&](const Variables& v) { return square(norm(v[0])); }, {x});
  gradients(sum(y), {x});
  CHECK(doubles(norm.running_mean.value())[0] == doctest::Approx(0.2));
}

TEST_CASE("batch_norm: gradients of a layer in training, against central differences") {
  BatchNorm norm(3, {.activation = Activation::tanh, .scale_from = normal(0.02, 1)});
  norm.initialise(3);
  norm.to(DType::f64);
  const Tensors at{normals("x", {5, 3}, DType::f64)};
  CHECK(worst_gradient_error(at, [&](const Variables& v) { return sum(square(norm(v[0]))); }) <
        1e-7);
}

TEST_CASE("batch_norm: one value a channel has no variance") {
  BatchNorm norm(2);
  norm.initialise(1);
  CHECK_THROWS_WITH_AS(norm(Variable(tensor({1, 2}, {1, 2}))),
                       "batch_norm: the variance of 1 value a channel is unknown: x is [1, 2]. "
                       "Train with larger batches.",
                       Error);
}

TEST_CASE("layer_norm: a row has mean 0 and variance 1 before scale and shift") {
  LayerNorm norm(4, {0});
  norm.initialise(1);
  norm.scale.value().data<float>()[0] = 3;
  norm.shift.value().data<float>()[0] = 5;
  const auto y = doubles(norm(Variable(tensor({2, 4}, {1, 3, 1, 3, 10, 10, 14, 14}))).value());
  const std::vector<double> expected{2, 1, -1, 1, 2, -1, 1, 1};
  for (std::size_t i = 0; i < y.size(); ++i)
    CHECK(y[i] == doctest::Approx(expected[i]));
}

TEST_CASE("group_norm: the channels of a group by one mean and variance, named as PyTorch does") {
  GroupNorm norm(4, 2, {0, Activation::relu});
  norm.initialise(1);
  norm.scale.value().data<float>()[1] = 2;
  const Variable x(tensor({1, 2, 4}, {1, 3, 10, 14, 1, 3, 10, 14}));
  CHECK(doubles(norm(x).value()) == std::vector<double>{0, 2, 0, 1, 0, 2, 0, 1});
  CHECK(norm.for_pytorch()[0].first == "weight");
  CHECK(norm.for_pytorch()[1].first == "bias");
  CHECK_THROWS_WITH_AS(GroupNorm(4, 3)(x),
                       "group_norm: 3 groups cannot share the channels, the last axis of [1, 2, "
                       "4]. Give x as [images, …, channels] and a divisor of the channels.",
                       Error);
}

TEST_CASE("norms: every layer names its parameters as PyTorch does") {
  const BatchNorm batch(4);
  const InstanceNorm instance(4);
  const GroupNorm group(4, 2);
  const LayerNorm layer(4);
  for (const Module* norm :
       std::initializer_list<const Module*>{&batch, &instance, &group, &layer}) {
    const auto all = norm->for_pytorch();
    REQUIRE(all.size() == (norm == &batch ? 4 : 2));
    CHECK(all[0].first == "weight");
    CHECK(all[1].first == "bias");
    if (norm == &batch) {
      CHECK(all[2].first == "running_mean");
      CHECK(all[3].first == "running_var");
    }
  }
}

TEST_CASE("instance_norm: each channel of each image by itself, in training and evaluation") {
  InstanceNorm norm(1, {0, Activation::relu});
  norm.initialise(1);
  const Variable x(tensor({2, 2, 2, 1}, {1, 3, 1, 3, 10, 10, 14, 14}));
  const std::vector<double> expected{0, 1, 0, 1, 0, 0, 1, 1};
  CHECK(doubles(norm(x).value()) == expected);
  norm.train(false);
  CHECK(doubles(norm(x).value()) == expected);
}
