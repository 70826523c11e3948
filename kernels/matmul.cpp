// The front of matmul: shapes, strides and batches; which backend; workspace; launch.
#include "kernels/matmul.h"

#include <atomic>
#include <cstddef>

#include "kernels/choice.h"
#include "kernels/copy.h"
#include "kernels/into.h"
#include "kernels/matmul_fastest.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

std::atomic<Products> products = Products::f32;

// An axis that a, b and c run along together; the rows of c among them.
struct Axis {
  std::int64_t extent, a, b, c;
};

// Adds an axis outside of the last one, merged with it where one stride serves both. The first, the
// rows, share one b: its stride there is 0.
void append_axis(std::vector<Axis>& axes, const Axis& outer) {
  if (outer.extent == 1)
    return;
  Axis& inner = axes.back();
  if (inner.extent == 1 && (axes.size() > 1 || outer.b == 0))
    inner = outer;
  else if (outer.a == inner.a * inner.extent && outer.b == inner.b * inner.extent &&
           outer.c == inner.c * inner.extent)
    inner.extent *= outer.extent;
  else
    axes.push_back(outer);
}

Shape leading(const Tensor& x) {
  Shape shape;
  for (int axis = 0; axis < x.rank() - 2; ++axis)
    shape.push_back(x.size(axis));
  return shape;
}

Shape with_matrix(Shape shape, std::int64_t rows, std::int64_t columns) {
  shape.push_back(rows);
  shape.push_back(columns);
  return shape;
}

void check(const Tensor& a, const Tensor& b, const Epilogue& epilogue) {
  require(a.defined() && b.defined(), "matmul: an operand is undefined. Give two tensors.");
  require(a.rank() >= 2 && b.rank() >= 2,
          "matmul: an operand is no matrix: a is {}, b is {}. Add an axis with unsqueeze.",
          a.shape(), b.shape());
  require(a.size(-1) == b.size(-2),
          "matmul: inner sizes differ: a is {}, b is {}. Transpose one of them, or check the "
          "layer's input width.",
          a.shape(), b.shape());
  require(is_floating(a.dtype()) && a.dtype() == b.dtype(),
          "matmul: types do not fit: a is {}, b is {}. Cast both to one floating-point type.",
          a.dtype(), b.dtype());
  require(a.device() == b.device(), "matmul: a is on {}, b on {}. Move one of them.", a.device(),
          b.device());
  const Tensor& bias = epilogue.bias;
  require(!bias.defined() || (bias.rank() == 1 && bias.size(0) == b.size(-1)),
          "matmul: the bias is {}, b is {}. Give one value a column of b.", bias.shape(),
          b.shape());
  require(!bias.defined() || (bias.dtype() == a.dtype() && bias.device() == a.device()),
          "matmul: the bias is {} on {}, a is {} on {}. Give them one type and device.",
          bias.dtype(), bias.device(), a.dtype(), a.device());
}

Tensor output(const Tensor& a, const Tensor& b, const Tensor& bias, const Shape& shape,
              const Into& into) {
  const Tensor out = result_in("matmul", into, shape, a, {a, b, bias});
  require(shape[-1] <= 1 || out.strides()[-1] == 1,
          "matmul: the columns of `out` are {} elements apart. Give one whose rows are contiguous.",
          out.strides()[-1]);
  return out;
}

const MatmulBackend& backend_for(MatmulProblem& problem, Device device) {
  const MatmulBackend& found = matmul_family().serving(device, problem, fastest_matmul);
  require<UsageError>(
      found.serves(problem),
      "matmul: tf32 needs the device cuda: the operands are on {}. Move them there, "
      "or take --precision f32.",
      served(device));
  return found;
}

// The problem with `axes` as its rows and batch; those beyond are looped over here.
void launch(MatmulProblem problem, const std::vector<Axis>& axes, const Tensor& out) {
  problem.m = axes[0].extent;
  problem.a_row = axes[0].a;
  problem.c_row = axes[0].c;
  if (axes.size() > 1) {
    problem.batch = axes[1].extent;
    problem.a_batch = axes[1].a;
    problem.b_batch = axes[1].b;
    problem.c_batch = axes[1].c;
  }
  const MatmulBackend& backend = backend_for(problem, out.device());
  if (axes.size() > 2)
    problem.plan = 0;  // what was measured is the first part, others may be aligned otherwise
  const auto bytes = static_cast<std::int64_t>(backend.workspace(problem, threads()));
  const Tensor workspace = bytes ? Tensor::empty({bytes}, DType::u8, out.device()) : Tensor();
  const double size = static_cast<double>(size_of(problem.dtype)), batch = problem.batch,
               m = problem.m, n = problem.n, k = problem.k;
  std::int64_t loops = 1;
  for (std::size_t i = 2; i < axes.size(); ++i)
    loops *= axes[i].extent;
  for (std::int64_t loop = 0; loop < loops; ++loop) {
    launched({backend.name, 2 * batch * m * n * k, size * batch * (m * k + k * n + m * n)});
    if (out.is_meta())
      continue;
    MatmulProblem part = problem;
    std::int64_t a = 0, b = 0, c = 0, index = loop;
    for (std::size_t i = 2; i < axes.size(); index /= axes[i++].extent) {
      const std::int64_t position = index % axes[i].extent;
      a += position * axes[i].a;
      b += position * axes[i].b;
      c += position * axes[i].c;
    }
    const auto element = static_cast<std::int64_t>(size_of(problem.dtype));
    part.a = static_cast<const std::byte*>(problem.a) + a * element;
    part.b = static_cast<const std::byte*>(problem.b) + b * element;
    part.c = static_cast<std::byte*>(problem.c) + c * element;
    backend.fill(part, bytes ? workspace.raw() : nullptr);
  }
}

}  // namespace

void choose_products(Products chosen) { products = chosen; }
Products chosen_products() { return products; }

Family<MatmulBackend>& matmul_family() {
  static Family<MatmulBackend> family("matmul");
  return family;
}

Tensor matmul(const Tensor& a, const Tensor& b, const Epilogue& epilogue, const Into& into) {
  check(a, b, epilogue);
  const std::int64_t m = a.size(-2), n = b.size(-1), k = a.size(-1);
  const Shape batch = broadcast("matmul", leading(a), leading(b));
  Tensor out = output(a, b, epilogue.bias, with_matrix(batch, m, n), into);
  if (out.numel() == 0)
    return out;

  const Strides a_strides = a.expand(with_matrix(batch, m, k)).strides();
  const Strides b_strides = b.expand(with_matrix(batch, k, n)).strides();
  std::vector<Axis> axes = {{m, a_strides[-2], 0, out.strides()[-2]}};
  for (int axis = batch.rank() - 1; axis >= 0; --axis)
    append_axis(axes, {batch[axis], a_strides[axis], b_strides[axis], out.strides()[axis]});

  const bool meta = out.is_meta();
  const Tensor bias = epilogue.bias.defined() ? contiguous(epilogue.bias) : Tensor();
  MatmulProblem problem{};
  problem.batch = 1;
  problem.n = n;
  problem.k = k;
  problem.dtype = a.dtype();
  problem.tf32 = a.dtype() == DType::f32 && chosen_products() == Products::tf32;
  problem.a = meta ? nullptr : a.raw();
  problem.a_column = a_strides[-1];
  problem.b = meta ? nullptr : b.raw();
  problem.b_row = b_strides[-2];
  problem.b_column = b_strides[-1];
  problem.c = meta ? nullptr : out.raw();
  problem.add = into.add;
  problem.biased = bias.defined();
  problem.bias = bias.defined() && !meta ? bias.raw() : nullptr;
  problem.activation = epilogue.activation;
  problem.slope = epilogue.slope;
  launch(problem, axes, out);
  if (into.out.defined())
    out.storage()->written();
  return out;
}

}  // namespace likely::kernels
