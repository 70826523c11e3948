// The front of pointwise formulas: checks, broadcasts, allocates, and merges axes for the backend.
#include "kernels/pointwise.h"

namespace likely::kernels {
namespace {

// The operands of one call and the shape they broadcast to.
struct Operands {
  Tensors x, h;  // h empty but for second order
  Tensor g;      // undefined but for gradients
  Shape shape;
};

void require_like(const FormulaCall& f, const char* what, const Tensor& operand,
                  const Tensor& first) {
  require(operand.defined(), "{}: {} is undefined.", f.name, what);
  require(operand.dtype() == first.dtype(), "{}: types differ: {} and {}. Use cast() first.",
          f.name, first.dtype(), operand.dtype());
  require(operand.device() == first.device(),
          "{}: tensors of two devices: {} and {}. Use to() first.", f.name, first.device(),
          operand.device());
}

Operands checked_inputs(const FormulaCall& f, const Tensors& x) {
  require(static_cast<int>(x.size()) == f.inputs, "{}: takes {} tensors: it got {}.", f.name,
          f.inputs, x.size());
  Operands operands{x, {}, {}, {}};
  for (const Tensor& input : x) {
    require_like(f, "an input", input, x[0]);
    operands.shape = broadcast(f.name, operands.shape, input.shape());
  }
  require(is_floating(x[0].dtype()),
          "{}: computes on floating-point numbers: it got {}. Use cast() first.", f.name,
          x[0].dtype());
  return operands;
}

void require_stretches(const FormulaCall& f, const char* what, const Tensor& operand,
                       const Operands& operands) {
  require_like(f, what, operand, operands.x[0]);
  require(broadcast(f.name, operands.shape, operand.shape()) == operands.shape,
          "{}: {} is {} where the result is {}.", f.name, what, operand.shape(), operands.shape);
}

void require_wanted(const FormulaCall& f, unsigned wanted, int results) {
  require(wanted >> results == 0, "{}: bits {:#b} ask for more than {} results.", f.name, wanted,
          results);
}

PointwiseOperand seen_at(const Tensor& operand, const Shape& shape) {
  if (!operand.defined())
    return {nullptr, Shape::filled(shape.rank(), 0)};
  const Tensor stretched = operand.expand(shape);
  return {stretched.raw(), stretched.strides()};
}

// Drops axes of extent 1 and joins neighbours that no operand tells apart: contiguous operands end
// with one axis.
void merge_axes(PointwiseProblem& problem) {
  std::array<PointwiseOperand*, 2 * max_inputs + 1> all;
  int count = 0;
  for (int i = 0; i < problem.formula.inputs; ++i) {
    all[count++] = &problem.x[i];
    all[count++] = &problem.h[i];
  }
  all[count++] = &problem.g;

  const Shape shape = problem.shape;
  std::array<Strides, 2 * max_inputs + 1> strides;
  for (int k = 0; k < count; ++k) {
    strides[k] = all[k]->strides;
    all[k]->strides = {};
  }
  problem.shape = {};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1)
      continue;
    bool joins = problem.shape.rank() > 0;
    for (int k = 0; k < count; ++k)
      joins = joins && all[k]->strides[-1] == strides[k][axis] * shape[axis];
    if (!joins)
      problem.shape.push_back(1);
    problem.shape[-1] *= shape[axis];
    for (int k = 0; k < count; ++k) {
      if (!joins)
        all[k]->strides.push_back(0);
      all[k]->strides[-1] = strides[k][axis];
    }
  }
}

// Allocates the wanted results, logs the launch and calls the backend.
Tensors run(const FormulaCall& f, const Operands& operands, unsigned wanted,
            void (*PointwiseBackend::*kernel)(const PointwiseProblem&)) {
  const Tensor& first = operands.x[0];
  PointwiseBackend const& backend = pointwise_family().serving(first.device());
  double bytes = static_cast<double>(operands.g.bytes());
  for (const Tensors* read : {&operands.x, &operands.h})
    for (const Tensor& operand : *read)
      bytes += static_cast<double>(operand.bytes());
  Tensors results(max_inputs + 1);
  for (int i = 0; i <= max_inputs; ++i)
    if (wanted >> i & 1u) {
      results[i] = Tensor::empty(operands.shape, first.dtype(), first.device());
      bytes += static_cast<double>(results[i].bytes());
    }
  launched({f.name, 0, bytes});
  if (first.is_meta() || operands.shape.numel() == 0 || wanted == 0)
    return results;

  PointwiseProblem problem{f, first.dtype(), operands.shape, {}, {}, {}, {}};
  for (int i = 0; i < f.inputs; ++i) {
    problem.x[i] = seen_at(operands.x[i], operands.shape);
    problem.h[i] = seen_at(operands.h.empty() ? Tensor{} : operands.h[i], operands.shape);
  }
  problem.g = seen_at(operands.g, operands.shape);
  for (int i = 0; i <= max_inputs; ++i)
    problem.out[i] = results[i].defined() ? results[i].raw() : nullptr;
  merge_axes(problem);
  (backend.*kernel)(problem);
  return results;
}

}  // namespace

Family<PointwiseBackend>& pointwise_family() {
  static Family<PointwiseBackend> family("pointwise");
  return family;
}

Tensor pointwise(const FormulaCall& f, const Tensors& x) {
  return run(f, checked_inputs(f, x), 1, &PointwiseBackend::value)[0];
}

Tensors pointwise_gradients(const FormulaCall& f, const Tensors& x, const Tensor& g,
                            unsigned wanted) {
  Operands operands = checked_inputs(f, x);
  require_stretches(f, "the gradient", g, operands);
  require_wanted(f, wanted, f.inputs);
  operands.g = g;
  Tensors results = run(f, operands, wanted, &PointwiseBackend::gradients);
  results.resize(f.inputs);
  return results;
}

Tensors pointwise_second(const FormulaCall& f, const Tensors& x, const Tensor& g, const Tensors& h,
                         unsigned wanted) {
  Operands operands = checked_inputs(f, x);
  require_stretches(f, "the gradient", g, operands);
  require(h.size() == x.size(), "{}: {} directions for {} inputs.", f.name, h.size(), x.size());
  for (const Tensor& direction : h)
    if (direction.defined())
      require_stretches(f, "a direction", direction, operands);
  require_wanted(f, wanted, f.inputs + 1);
  operands.g = g;
  operands.h = h;
  Tensors results = run(f, operands, wanted, &PointwiseBackend::second);
  results.resize(f.inputs + 1);
  return results;
}

}  // namespace likely::kernels
