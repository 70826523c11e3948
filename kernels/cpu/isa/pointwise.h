// The loops of pointwise formulas over contiguous arrays, a table an instruction set.
#pragma once
#include <cstdint>

namespace likely::kernels {

template <class T>
struct FirstOrderLoops {
  void (*value)(const void* formula, const T* const* x, T* y, std::int64_t n);
  void (*gradients)(const void* formula, const T* const* x, const T* g, T* const* out,
                    std::int64_t n);
};

// Values and gradients in f32 of all formulas, in the order of the list.
namespace isa_v3 {
extern const FirstOrderLoops<float>* const pointwise_f32;
}
namespace isa_v4 {
extern const FirstOrderLoops<float>* const pointwise_f32;
}

}  // namespace likely::kernels
