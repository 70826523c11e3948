// The loops of every formula over contiguous arrays. All has internal linkage, so that each
// instruction set keeps its own.
#pragma once
#include <utility>

#include "kernels/cpu/isa/pointwise.h"
#include "kernels/formulas.h"

namespace likely::kernels {

template <class T>
struct SecondOrderLoop {
  void (*second)(const void* formula, const T* const* x, const T* g, const T* const* h,
                 T* const* out, std::int64_t n);
};

namespace {

template <class F, class T, class Inputs = std::make_index_sequence<arity<F>()>>
struct Loops;

template <class F, class T, std::size_t... i>
struct Loops<F, T, std::index_sequence<i...>> {
  static constexpr int inputs = sizeof...(i);

  static void value(const void* formula, const T* const* x, T* y, std::int64_t n) {
    const F f = *static_cast<const F*>(formula);
    const T* const in[] = {x[i]...};
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j)
      y[j] = f(in[i][j]...);
  }

  static void gradients(const void* formula, const T* const* x, const T* g, T* const* out,
                        std::int64_t n) {
    const F f = *static_cast<const F*>(formula);
    const T* const in[] = {x[i]...};
    T* const to[] = {out[i]...};
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j)
      gradients_at(f, in, g[j], to, j);
  }

  static void second(const void* formula, const T* const* x, const T* g, const T* const* h,
                     T* const* out, std::int64_t n) {
    const F f = *static_cast<const F*>(formula);
    const T* const in[] = {x[i]...};
    const T* const along[] = {h[i]...};
    T* const to[] = {out[i]..., out[inputs]};
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j)
      second_at(f, in, g[j], along, to, j);
  }

 private:
  // Functions of their own: duals declared in the body of a simd loop would stay in memory.
  LIKELY_HD static void gradients_at(const F& f, const T* const* x, T g, T* const* out,
                                     std::int64_t j) {
    using D = Dual<T, inputs>;
    const D y = f(D::input(x[i][j], i)...);
    ((out[i][j] = y.on(i) ? g * y.slope[i] : T(0)), ...);
  }

  // The outer dual follows the direction h: its slope is D = Σ h_i ∂_i f, with slopes ∂_j D.
  LIKELY_HD static void second_at(const F& f, const T* const* x, T g, const T* const* h,
                                  T* const* out, std::int64_t j) {
    using D = Dual<T, inputs>;
    const D slope = f(Dual<D, 1>::input(D::input(x[i][j], i), 0, D(h[i][j]))...).slope[0];
    ((out[i][j] = slope.on(i) ? g * slope.slope[i] : T(0)), ...);
    out[inputs][j] = slope.value;
  }
};

template <class T, class All>
struct Tables;
template <class T, class... F>
struct Tables<T, List<F...>> {
  static constexpr FirstOrderLoops<T> first[] = {{Loops<F, T>::value, Loops<F, T>::gradients}...};
  static constexpr SecondOrderLoop<T> second[] = {{Loops<F, T>::second}...};
};

}  // namespace

}  // namespace likely::kernels
