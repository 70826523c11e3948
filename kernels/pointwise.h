// Pointwise formulas on tensors: the value, all gradients, and the gradient along a direction.
#pragma once
#include <array>

#include "kernels/backend.h"
#include "kernels/formulas.h"

namespace likely::kernels {

// A formula by its place in the list Formulas (formulas.h), with the constants it carries.
struct FormulaCall {
  int index;            // of its type in Formulas
  const char* name;     // "tanh"
  int inputs;           // how many tensors it reads, 1 to max_inputs
  const void* formula;  // the object itself: trivially copyable, constants only
};
inline constexpr int max_inputs = 4;

template <class F>
FormulaCall call(const F& formula) {
  static_assert(index_of<F>(Formulas{}) >= 0,
                "add the formula to the list Formulas at the end of kernels/formulas.h");
  return {index_of<F>(Formulas{}), F::name, arity<F>(), &formula};
}

// y = f(x…). Inputs broadcast; all of one floating-point dtype. f32 and f64 compute in themselves,
// bf16 in f32.
Tensor pointwise(const FormulaCall& f, const Tensors& x);

// g ∂f/∂x_i for every i with bit i of `wanted` set (undefined elsewhere), all in one pass, at the
// broadcast shape.
Tensors pointwise_gradients(const FormulaCall& f, const Tensors& x, const Tensor& g,
                            unsigned wanted);

// With S = Σ_i h_i g ∂_i f (h_i undefined means zero): {∂S/∂x_0 …, ∂S/∂g}, where ∂S/∂x_j = g Σ_i
// h_i ∂_ij f and ∂S/∂g = Σ_i h_i ∂_i f. Bit j of `wanted` asks for x_j, bit f.inputs for g.
Tensors pointwise_second(const FormulaCall& f, const Tensors& x, const Tensor& g, const Tensors& h,
                         unsigned wanted);

// What a backend fills: every operand is read at `shape`, whose axes the front has merged as far as
// the strides allow; results are contiguous.
struct PointwiseOperand {
  const void* data = nullptr;  // null: zero everywhere
  Strides strides;             // in elements
};
struct PointwiseProblem {
  FormulaCall formula;
  DType dtype;
  Shape shape;
  std::array<PointwiseOperand, max_inputs> x, h;
  PointwiseOperand g;
  std::array<void*, max_inputs + 1> out;  // null where not wanted
};
struct PointwiseBackend {
  const char* name;
  void (*value)(const PointwiseProblem& problem);
  void (*gradients)(const PointwiseProblem& problem);
  void (*second)(const PointwiseProblem& problem);
};
Family<PointwiseBackend>& pointwise_family();

}  // namespace likely::kernels
