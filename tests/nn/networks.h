// Small networks, and plain helpers to look into them, for the tests of nn.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "nn/linear.h"
#include "nn/optimiser.h"

namespace likely {

inline std::vector<double> doubles(const Tensor& x) { return kernels::to_doubles(x); }

inline Tensor tensor(const Shape& shape, const std::vector<double>& values,
                     DType dtype = DType::f32) {
  return kernels::cast(Tensor::of(shape, values), dtype);
}

// N(0, 1), the same for the same name.
inline Tensor normals(const std::string& name, const Shape& shape, DType dtype = DType::f32) {
  return kernels::cast(
      kernels::normal(shape, {make_step_state({}), purpose_hash("tests/" + name), 0}), dtype);
}

inline Tensor step_at(double rate, std::uint64_t seed = 0) {
  StepState state;
  state.seed = seed;
  state.rate = static_cast<float>(rate);
  return make_step_state(state);
}

// tanh(x w₁ᵀ + b₁) w₂ᵀ + b₂
struct Mlp : Module {
  Mlp(std::int64_t in, std::int64_t hidden_width, std::int64_t out_width)
      : hidden(in, hidden_width, Activation::tanh), out(hidden_width, out_width) {
    add("hidden", hidden);
    add("out", out);
  }
  Variable operator()(const Variable& x) const { return out(hidden(x)); }
  Linear hidden, out;
};

// ½ |a - target|² for two parameters: the gradient is a - target.
struct Bowl : Module {
  Bowl() : a(add("a", Parameter({3, 5}, normal(1)))), b(add("b", Parameter({5}, normal(1)))) {
    initialise(7);
  }
  Variable loss(double target = 2) const {
    return 0.5 * (sum(square(a() - target)) + sum(square(b() - target)));
  }
  Parameter a, b;
};

// The largest |a - n| / (|a| + |n| + 1e-3) between the gradients of f at f64 tensors and central
// differences with h = 1e-5 max(1, |x|).
inline double worst_gradient_error(const Tensors& at,
                                   const std::function<Variable(const Variables&)>& f) {
  Variables leaves, constants;
  for (const Tensor& x : at) {
    leaves.push_back(Variable::leaf(x));
    constants.emplace_back(x);
  }
  const Variables found = gradients(f(leaves), leaves);
  double worst = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const std::vector<double> analytic =
        found[i].defined() ? doubles(found[i].value())
                           : std::vector<double>(static_cast<std::size_t>(at[i].numel()));
    for (std::int64_t j = 0; j < at[i].numel(); ++j) {
      double& x = at[i].data<double>()[j];
      const double before = x, h = 1e-5 * std::max(1.0, std::abs(x));
      x = before + h;
      const double above = f(constants).value().item<double>();
      x = before - h;
      const double below = f(constants).value().item<double>();
      x = before;
      const double numeric = (above - below) / (2 * h), a = analytic[static_cast<std::size_t>(j)];
      worst = std::max(worst, std::abs(a - numeric) / (std::abs(a) + std::abs(numeric) + 1e-3));
    }
  }
  return worst;
}

}  // namespace likely
