#include "autograd/ops.h"
#include "autograd/ops/pointwise.h"
#include "autograd/tape.h"

namespace likely {
namespace {

Tensors values_of(const std::vector<Saved>& saved) {
  Tensors values;
  for (const Saved& s : saved)
    values.push_back(s.get().value());
  return values;
}

unsigned mask(const Wants& wants) {
  unsigned bits = 0;
  for (std::size_t i = 0; i < wants.size(); ++i)
    if (wants[i])
      bits |= 1u << i;
  return bits;
}

// Second derivatives are where it ends: their own vjp throws, by name.
Variables second(const Op& op, const KeptFormula& formula, const std::vector<Saved>& x,
                 const Saved& g, const Variables& h, const Wants& wants) {
  Tensors directions;
  Variables inputs(x.begin(), x.end());
  inputs.push_back(g.get());
  for (const Variable& v : h) {
    directions.push_back(v.value());
    inputs.push_back(v);
  }
  const unsigned to_g = 1u << formula.inputs;
  const unsigned wanted = mask(wants) & (formula.straight ? to_g : ~0u);
  if (wanted == 0)
    return Variables(wants.size());
  Tensors values =
      kernels::pointwise_second(formula.call(), values_of(x), g.get().value(), directions, wanted);
  return op.record(
      std::move(values), inputs,
      [name = op.name()](const Variables&, const Variables&, const Wants&) -> Variables {
        fail("{}: third derivatives are not there. Write it in smaller ops to go on.", name);
      },
      false);
}

// The gradients of a formula, themselves on the tape as one node with an output for each input.
Variables first(const Op& op, const KeptFormula& formula, const std::vector<Saved>& x,
                const Variable& g, const Wants& wants) {
  const unsigned wanted = mask(wants) & ~formula.flat;
  if (wanted == 0)
    return Variables(wants.size());
  Variables inputs(x.begin(), x.end());
  inputs.push_back(g);
  Tensors values = kernels::pointwise_gradients(formula.call(), values_of(x), g.value(), wanted);
  Vjps vjp;
  if (recording())
    vjp = [&op, formula, x, g = g.saved()](const Variables& h, const Variables&, const Wants& w) {
      return second(op, formula, x, g, h, w);
    };
  return op.record(std::move(values), inputs, std::move(vjp), false);
}

}  // namespace

Variable apply(const Op& op, const KeptFormula& formula, const Variables& inputs) {
  Tensors values;
  for (const Variable& input : inputs)
    values.push_back(input.value());
  Tensor y = kernels::pointwise(formula.call(), values);
  std::vector<Saved> x;
  if (recording())
    for (const Variable& input : inputs)
      x.push_back(input.saved());
  return op.record(std::move(y), inputs, [&op, formula, x](const Variable& g, const Wants& wants) {
    return first(op, formula, x, g, wants);
  });
}

}  // namespace likely
