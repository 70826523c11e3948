// Bias and activation on a block of finished sums: the formulas are those of the pointwise kernels,
// so that a fused layer and its parts one after the other give the same bits.
#pragma once
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/formulas.h"

namespace likely::kernels {

template <class T, class F>
LIKELY_HD void finish_with(const F& formula, const T* bias, std::int64_t m, std::int64_t n, T* c,
                           std::int64_t c_row) {
  for (std::int64_t i = 0; i < m; ++i, c += c_row)
    if (bias) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j)
        c[j] = formula(c[j] + bias[j]);
    } else {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j)
        c[j] = formula(c[j]);
    }
}

// c [m, n] = activation(c + bias [n]); no bias where null.
template <class T>
LIKELY_HD void finish(Activation activation, double slope, const T* bias, std::int64_t m,
                      std::int64_t n, T* c, std::int64_t c_row) {
  switch (activation) {
    case Activation::none:
      if (bias)
        finish_with(
            [](T x) __attribute__((always_inline)) { return x; }, bias, m, n, c, c_row);
      return;
    case Activation::relu:
      return finish_with(Relu{}, bias, m, n, c, c_row);
    case Activation::leaky_relu:
      return finish_with(LeakyRelu{slope}, bias, m, n, c, c_row);
    case Activation::tanh:
      return finish_with(Tanh{}, bias, m, n, c, c_row);
    case Activation::sigmoid:
      return finish_with(Sigmoid{}, bias, m, n, c, c_row);
    case Activation::silu:
      return finish_with(Silu{}, bias, m, n, c, c_row);
  }
}

}  // namespace likely::kernels
