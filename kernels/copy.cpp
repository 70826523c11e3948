// The front of copies and fills: checks, broadcasts, and reduces any layout to the fewest axes.
#include "kernels/copy.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "kernels/into.h"

namespace likely::kernels {
namespace {

// Drops extents of 1, orders axes by falling stride of `to` and joins neighbours that lie without
// gaps on both sides: a copy of a contiguous tensor ends with one axis.
void simplify(CopyProblem& problem) {
  struct Axis {
    std::int64_t extent, to, from;
  };
  std::array<Axis, Shape::max_rank> axes;
  int count = 0;
  for (int i = 0; i < problem.shape.rank(); ++i)
    if (problem.shape[i] != 1)
      axes[count++] = {problem.shape[i], problem.to_strides[i], problem.from_strides[i]};
  std::stable_sort(axes.begin(), axes.begin() + count,
                   [](const Axis& a, const Axis& b) { return std::abs(a.to) > std::abs(b.to); });
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    if (kept > 0 && axes[kept - 1].to == axes[i].to * axes[i].extent &&
        axes[kept - 1].from == axes[i].from * axes[i].extent)
      axes[kept - 1] = {axes[kept - 1].extent * axes[i].extent, axes[i].to, axes[i].from};
    else
      axes[kept++] = axes[i];
  }
  problem.shape = problem.to_strides = problem.from_strides = {};
  for (int i = 0; i < kept; ++i) {
    problem.shape.push_back(axes[i].extent);
    problem.to_strides.push_back(axes[i].to);
    problem.from_strides.push_back(axes[i].from);
  }
}

void require_destination(const char* operation, const Tensor& out) {
  require(out.defined(), "{}: the destination is undefined.", operation);
  require_writable(operation, "the destination", out);
}

void copy(const char* operation, Tensor& out, const Tensor& x, bool add) {
  require_destination(operation, out);
  require(x.defined(), "{}: the source is undefined.", operation);
  require(x.device() == out.device(), "{}: tensors of two devices: {} into {}. Use to() first.",
          operation, x.device(), out.device());
  require(
      broadcast(operation, x.shape(), out.shape()) == out.shape(),
      "{}: the source is larger than the destination: {} into {}. Only the source is stretched.",
      operation, x.shape(), out.shape());
  require(
      out.same_view(x) || !overlap(out, x),
      "{}: source and destination share memory: {} at {} into {} at {} of one storage. Copy the "
      "source first, with contiguous() or cast().",
      operation, x.shape(), x.offset(), out.shape(), out.offset());
  const std::size_t written = (add ? 2 : 1) * out.bytes();
  launched({operation, 0, static_cast<double>(written + x.bytes())});
  out.storage()->written();
  if (out.is_meta() || out.numel() == 0)
    return;
  const Tensor stretched = x.expand(out.shape());
  CopyProblem problem{out.shape(),   out.dtype(),     x.dtype(),           out.raw(),
                      out.strides(), stretched.raw(), stretched.strides(), add};
  simplify(problem);
  copy_family().serving(out.device()).copy(problem);
}

}  // namespace

Family<CopyBackend>& copy_family() {
  static Family<CopyBackend> family("copy");
  return family;
}

Tensor contiguous(const Tensor& x) { return cast(x, x.dtype()); }

Tensor cast(const Tensor& x, DType dtype) {
  require(x.defined(), "cast: the tensor is undefined.");
  if (x.dtype() == dtype && x.contiguous())
    return x;
  Tensor out = Tensor::empty(x.shape(), dtype, x.device());
  copy(x.dtype() == dtype ? "contiguous" : "cast", out, x, false);
  return out;
}

void copy_into(Tensor out, const Tensor& x) { copy("copy_into", out, x, false); }

void add_into(Tensor out, const Tensor& x) {
  require(is_floating(out.dtype()) && is_floating(x.dtype()),
          "add_into: {} into {}: only floating-point types add. Use cast() first.", x.dtype(),
          out.dtype());
  copy("add_into", out, x, true);
}

void fill(Tensor out, double value) {
  require_destination("fill", out);
  launched({"fill", 0, static_cast<double>(out.bytes())});
  out.storage()->written();
  if (out.is_meta() || out.numel() == 0)
    return;
  CopyProblem problem{out.shape(),   out.dtype(), out.dtype(),   out.raw(),
                      out.strides(), nullptr,     out.strides(), false};
  simplify(problem);
  copy_family().serving(out.device()).fill(problem, value);
}

Tensor full(const Shape& shape, double value, DType dtype, Device device) {
  const Tensor out = Tensor::empty(shape, dtype, device);
  fill(out, value);
  return out;
}

Tensor concatenate(const Tensors& parts, int axis) {
  require(!parts.empty(), "concatenate: there is nothing to join. Give at least one tensor.");
  const int at = parts[0].axis("concatenate", axis);
  std::int64_t extent = 0;
  for (const Tensor& part : parts) {
    require(part.dtype() == parts[0].dtype(),
            "concatenate: types differ: {} and {}. Use cast() first.", parts[0].dtype(),
            part.dtype());
    require(
        part.rank() == parts[0].rank() && part.shape().with(at, 1) == parts[0].shape().with(at, 1),
        "concatenate: shapes differ in another axis than {}: {} and {}. Make the rest equal.", axis,
        parts[0].shape(), part.shape());
    extent += part.size(at);
  }
  const Tensor out =
      Tensor::empty(parts[0].shape().with(at, extent), parts[0].dtype(), parts[0].device());
  std::int64_t begin = 0;
  for (const Tensor& part : parts) {
    Tensor place = out.slice(at, begin, begin + part.size(at));
    copy("concatenate", place, part, false);
    begin += part.size(at);
  }
  return out;
}

std::vector<double> to_doubles(const Tensor& x) {
  const Tensor wide = cast(x, DType::f64);
  return x.is_meta() ? std::vector<double>(wide.numel()) : wide.to_vector<double>();
}

}  // namespace likely::kernels
