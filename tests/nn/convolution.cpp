// Convolution layers: their shapes and parameters, against the ops; what initialisers see.
#include "nn/convolution.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/copy.h"
#include "nn/linear.h"

using namespace likely;
using kernels::to_doubles;

namespace {

std::vector<std::string> names_of(const Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : module.parameters())
    names.push_back(name);
  return names;
}

double root_mean_square(const Tensor& x) {
  double sum = 0;
  for (const double value : to_doubles(x))
    sum += value * value;
  return std::sqrt(sum / static_cast<double>(x.numel()));
}

}  // namespace

TEST_CASE("Convolution: halves an image, TransposedConvolution doubles it") {
  Convolution down(3, 8, 4, {.stride = 2, .padding = 1}, Activation::leaky_relu);
  TransposedConvolution up(8, 3, 4, {.stride = 2, .padding = 1}, Activation::tanh);
  down.initialise(1, "down");
  up.initialise(1, "up");
  CHECK(down.weight.shape() == Shape{8, 4, 4, 3});
  CHECK(up.weight.shape() == Shape{8, 4, 4, 3});
  CHECK(down.bias->shape() == Shape{8});
  CHECK(up.bias->shape() == Shape{3});
  const Variable x(kernels::full({2, 10, 6, 3}, 0.5));
  const Variable y = down(x), back = up(y);
  CHECK(y.shape() == Shape{2, 5, 3, 8});
  CHECK(back.shape() == Shape{2, 10, 6, 3});
  CHECK(up(y, {11, 7}).shape() == Shape{2, 11, 7, 3});
  CHECK(
      to_doubles(y.value()) ==
      to_doubles(
          leaky_relu(convolution(x, down.weight, none, {.stride = 2, .padding = 1}), 0.2).value()));
  CHECK(to_doubles(back.value()) ==
        to_doubles(
            tanh(transposed_convolution(y, up.weight, none, {.stride = 2, .padding = 1})).value()));
}

TEST_CASE("Convolution: without a bias there is only the weight; groups share its channels") {
  const Convolution with(4, 6, {3, 5}, {.groups = 2});
  const Convolution without(4, 6, 3, {}, Activation::none, Bias::no);
  const TransposedConvolution transposed(6, 4, 3, {.groups = 2}, Activation::none, Bias::no);
  CHECK(names_of(with) == std::vector<std::string>{"weight", "bias"});
  CHECK(names_of(without) == std::vector<std::string>{"weight"});
  CHECK(names_of(transposed) == std::vector<std::string>{"weight"});
  CHECK(with.weight.shape() == Shape{6, 3, 5, 2});
  CHECK(transposed.weight.shape() == Shape{6, 3, 3, 2});
}

TEST_CASE("Convolution: an initialiser counts rows, columns and channels of a group as fan-in") {
  Convolution he(8, 500, {3, 5}, {.groups = 2}, Activation::relu, Bias::no, he_normal());
  he.initialise(1);
  CHECK(root_mean_square(he.weight.value()) == doctest::Approx(std::sqrt(2.0 / 60)).epsilon(0.02));
  TransposedConvolution dcgan(100, 64, 4, {}, Activation::none, Bias::no, normal(0.02));
  dcgan.initialise(1);
  CHECK(root_mean_square(dcgan.weight.value()) == doctest::Approx(0.02).epsilon(0.02));
}

TEST_CASE("Convolution: messages") {
  const auto message = [](auto f) -> std::string {
    try {
      f();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(message([] { Convolution(5, 8, 3, {.groups = 2}); }) ==
        "Convolution: 5 in channels do not divide into 2 groups. Choose numbers that do.");
  CHECK(message([] { TransposedConvolution(8, 5, 3, {.groups = 2}); }) ==
        "TransposedConvolution: 5 out channels do not divide into 2 groups. Choose numbers that "
        "do.");
}

TEST_CASE("Convolution: a layer takes the slope of its activation, in f64 as a double") {
  const LayerActivation after{Activation::leaky_relu, 0.1};
  Convolution down(2, 3, 2, {}, after);
  TransposedConvolution up(2, 3, 2, {}, after);
  Linear flat(2, 3, after);
  for (Module* layer : std::initializer_list<Module*>{&down, &up, &flat}) {
    layer->initialise(1);
    layer->to(DType::f64);
  }
  const Variable x(kernels::full({1, 3, 3, 2}, -1, DType::f64));
  CHECK(to_doubles(down(x).value()) ==
        to_doubles(leaky_relu(convolution(x, down.weight, *down.bias), 0.1).value()));
  CHECK(to_doubles(up(x).value()) ==
        to_doubles(leaky_relu(transposed_convolution(x, up.weight, *up.bias), 0.1).value()));
  CHECK(to_doubles(flat(x).value()) ==
        to_doubles(leaky_relu(linear(x, flat.weight, flat.bias), 0.1).value()));
}
