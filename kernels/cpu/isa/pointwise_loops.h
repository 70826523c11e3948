// The loops of every formula over contiguous arrays. All has internal linkage, so that each
// instruction set keeps its own.
#pragma once
#include "kernels/cpu/isa/pointwise.h"
#include "kernels/derivatives.h"

namespace likely::kernels {

template <class T>
struct SecondOrderLoop {
  void (*second)(const void* formula, const T* const* x, const T* g, const T* const* h,
                 T* const* out, std::int64_t n);
};

namespace {

template <class F, class T, class Inputs = InputsOf<F>>
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
      gradients_at(f, in, g[j], to, j, InputsOf<F>());
  }

  static void second(const void* formula, const T* const* x, const T* g, const T* const* h,
                     T* const* out, std::int64_t n) {
    const F f = *static_cast<const F*>(formula);
    const T* const in[] = {x[i]...};
    const T* const along[] = {h[i]...};
    T* const to[] = {out[i]..., out[inputs]};
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j)
      second_at(f, in, g[j], along, to, j, InputsOf<F>());
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
