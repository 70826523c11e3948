// What a formula yields, element by element, in each order of differentiation: the bodies of every
// backend's loops.
#pragma once
#include <cstdint>
#include <utility>

#include "kernels/formulas.h"

namespace likely::kernels {

enum class Order { value, gradients, second };

// Operands stand as x…, then g, then h…; results as in kernels/pointwise.h.
LIKELY_HD constexpr int operands_of(Order order, int inputs) {
  return order == Order::value ? inputs : order == Order::gradients ? inputs + 1 : 2 * inputs + 1;
}
LIKELY_HD constexpr int results_of(Order order, int inputs) {
  return order == Order::value ? 1 : order == Order::gradients ? inputs : inputs + 1;
}

template <class F>
using InputsOf = std::make_index_sequence<arity<F>()>;

// Functions of their own: duals declared in the body of a simd loop would stay in memory.
template <class F, class T, std::size_t... i>
LIKELY_HD void gradients_at(const F& f, const T* const* x, T g, T* const* out, std::int64_t j,
                            std::index_sequence<i...>) {
  using D = Dual<T, sizeof...(i)>;
  const D y = f(D::input(x[i][j], i)...);
  ((out[i][j] = y.on(i) ? g * y.slope[i] : T(0)), ...);
}

// The outer dual follows the direction h: its slope is D = Σ h_i ∂_i f, with slopes ∂_j D.
template <class F, class T, std::size_t... i>
LIKELY_HD void second_at(const F& f, const T* const* x, T g, const T* const* h, T* const* out,
                         std::int64_t j, std::index_sequence<i...>) {
  using D = Dual<T, sizeof...(i)>;
  const D slope = f(Dual<D, 1>::input(D::input(x[i][j], i), 0, D(h[i][j]))...).slope[0];
  ((out[i][j] = slope.on(i) ? g * slope.slope[i] : T(0)), ...);
  out[sizeof...(i)][j] = slope.value;
}

}  // namespace likely::kernels
