// How a formula of kernels/formulas.h becomes a differentiable operation, to second order.
#pragma once
#include <cstring>

#include "autograd/op.h"
#include "kernels/pointwise.h"

namespace likely {

// The formula by value, as a vjp can keep it.
struct KeptFormula {
  int index = 0;
  const char* name = "";
  int inputs = 0;
  unsigned flat = 0;  // as the formula declares them
  bool straight = false;
  alignas(double) unsigned char bytes[32] = {};
  kernels::FormulaCall call() const { return {index, name, inputs, bytes}; }
};

Variable apply(const Op& op, const KeptFormula& formula, const Variables& inputs);

// y = f(x…) with all gradients from dual numbers, and those of the gradients from duals of duals.
template <class F>
Variable apply(const Op& op, const F& f, const Variables& inputs) {
  static_assert(std::is_trivially_copyable_v<F> && sizeof(F) <= sizeof(KeptFormula::bytes));
  const kernels::FormulaCall call = kernels::call(f);
  KeptFormula kept{
      call.index, call.name, call.inputs, kernels::flat_inputs<F>(), kernels::is_straight<F>(), {}};
  std::memcpy(kept.bytes, &f, sizeof f);
  return apply(op, kept, inputs);
}

}  // namespace likely
