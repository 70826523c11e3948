// Every formula beside what the C library computes for it in double.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "kernels/pointwise.h"

namespace likely::kernels {

using Exact = std::function<double(const double* x)>;

struct Example {
  FormulaCall formula;
  Exact exact;
  double low = -3, high = 3;  // of the arguments
};

inline double softplus_of(double x) { return std::log1p(std::exp(x)); }
inline double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
inline double normal_kl_of(double m, double lv, double m2, double lv2) {
  return (std::exp(lv) + (m - m2) * (m - m2)) / (2 * std::exp(lv2)) - 0.5 + (lv2 - lv) / 2;
}

template <class F>
Example example(const F& formula, Exact exact, double low = -3, double high = 3) {
  static const F kept = formula;
  return {call(kept), std::move(exact), low, high};
}

// Kinks lie outside the arguments: they have a test of their own.
inline const std::vector<Example>& examples() {
  using P = const double*;
  static const std::vector<Example> all{
      example(Add{}, [](P x) { return x[0] + x[1]; }),
      example(Subtract{}, [](P x) { return x[0] - x[1]; }),
      example(Multiply{}, [](P x) { return x[0] * x[1]; }),
      example(
          Divide{}, [](P x) { return x[0] / x[1]; }, 0.5, 3),
      example(DivideBy{49}, [](P x) { return x[0] / 49; }),
      example(Negate{}, [](P x) { return -x[0]; }),
      example(Scale{-1.7}, [](P x) { return -1.7 * x[0]; }),
      example(Shift{0.3}, [](P x) { return x[0] + 0.3; }),
      example(Square{}, [](P x) { return x[0] * x[0]; }),
      example(
          Reciprocal{}, [](P x) { return 1 / x[0]; }, -3, -0.5),
      example(
          Sqrt{}, [](P x) { return std::sqrt(x[0]); }, 0.5, 3),
      example(
          Abs{}, [](P x) { return std::abs(x[0]); }, -3, -0.5),
      example(
          Clamp{-1, 2}, [](P x) { return std::clamp(x[0], -1.0, 2.0); }, 1.5, 1.9),
      example(Exp{}, [](P x) { return std::exp(x[0]); }),
      example(
          Log{}, [](P x) { return std::log(x[0]); }, 0.5, 3),
      example(Erf{}, [](P x) { return std::erf(x[0]); }),
      example(Softplus{}, [](P x) { return softplus_of(x[0]); }),
      example(Tanh{}, [](P x) { return std::tanh(x[0]); }),
      example(Sigmoid{}, [](P x) { return sigmoid_of(x[0]); }),
      example(
          Relu{}, [](P x) { return std::max(x[0], 0.0); }, 0.5, 3),
      example(
          LeakyRelu{0.2}, [](P x) { return std::max(x[0], 0.2 * x[0]); }, -3, -0.5),
      example(Silu{}, [](P x) { return x[0] * sigmoid_of(x[0]); }),
      example(Gelu{}, [](P x) { return x[0] / 2 * std::erfc(-x[0] / std::sqrt(2.0)); }),
      example(GatedTanh{}, [](P x) { return std::tanh(x[0]) * sigmoid_of(x[1]); }),
      example(TanhFromOutput{}, [](P x) { return x[0] * (1 - x[1] * x[1]); }),
      example(SigmoidFromOutput{}, [](P x) { return x[0] * x[1] * (1 - x[1]); }),
      example(
          ReluFromOutput{}, [](P x) { return x[1] > 0 ? x[0] : 0; }, 0.5, 3),
      example(
          LeakyReluFromOutput{0.2}, [](P x) { return x[1] > 0 ? x[0] : 0.2 * x[0]; }, -3, -0.5),
      example(BernoulliLogProb{},
              [](P x) {
                return x[0] * std::log(sigmoid_of(x[1])) + (1 - x[0]) * std::log(sigmoid_of(-x[1]));
              }),
      example(
          DiscretisedLogisticLogProb{0.1},
          [](P x) {
            const auto below = [x](double edge) {
              return sigmoid_of((edge - x[1]) / std::exp(x[2]));
            };
            return std::log(below(x[0] + 0.1) - below(x[0] - 0.1));
          },
          -0.85, 0.85),
      example(NormalLogProb{},
              [](P x) {
                const double variance = std::exp(x[2]), z = x[0] - x[1];
                return -z * z / (2 * variance) - std::log(std::sqrt(2 * M_PI * variance));
              }),
      example(StandardNormalKl{}, [](P x) { return normal_kl_of(x[0], x[1], 0, 0); }),
      example(NormalKl{}, [](P x) { return normal_kl_of(x[0], x[1], x[2], x[3]); }),
      example(KlTerm{},
              [](P x) { return std::exp(x[1]) - std::exp(x[0]) + std::exp(x[0]) * (x[0] - x[1]); }),
      example(Reparameterise{}, [](P x) { return x[0] + std::sqrt(std::exp(x[1])) * x[2]; }),
  };
  return all;
}

}  // namespace likely::kernels
