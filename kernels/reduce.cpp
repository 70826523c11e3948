// The front of reductions: checks, and brings any axes of any layout to [outer, reduced, inner].
#include "kernels/reduce.h"

#include <algorithm>
#include <array>
#include <optional>

#include "kernels/copy.h"
#include "kernels/into.h"

namespace likely::kernels {
namespace {

const char* name_of(Reduction how) {
  return how == Reduction::sum ? "sum" : how == Reduction::mean ? "mean" : "max";
}

// Bit i is set where axis i is reduced.
unsigned reduced_axes(const char* operation, const Tensor& x, const std::vector<int>& axes) {
  unsigned reduced = 0;
  for (const int given : axes) {
    const int at = x.axis(operation, given);
    require(!(reduced >> at & 1), "{}: axis {} is named twice.", operation, given);
    reduced |= 1u << at;
  }
  return axes.empty() ? (1u << x.rank()) - 1 : reduced;
}

Shape without_reduced(const Shape& shape, unsigned reduced, Keep keep) {
  Shape result;
  for (int i = 0; i < shape.rank(); ++i)
    if (!(reduced >> i & 1))
      result.push_back(shape[i]);
    else if (keep == Keep::yes)
      result.push_back(1);
  return result;
}

struct Seen {
  Tensor x;  // contiguous in the order of the axes that follow
  std::int64_t outer = 1, reduced = 1, inner = 1;
};

// The axes in the order of memory, if the reduced ones lie together there and both they and the
// kept ones keep their order, so that neither the tree nor the result depends on the layout.
std::optional<Seen> seen_in_place(const Tensor& x, unsigned reduced) {
  std::array<int, Shape::max_rank> order;
  int count = 0;
  for (int i = 0; i < x.rank(); ++i)
    if (x.size(i) != 1)
      order[count++] = i;
  std::stable_sort(order.begin(), order.begin() + count,
                   [&](int a, int b) { return x.strides()[a] > x.strides()[b]; });
  std::int64_t gapless = 1;
  for (int i = count - 1; i >= 0; --i) {
    if (x.strides()[order[i]] != gapless)
      return {};
    gapless *= x.size(order[i]);
  }
  Seen seen{x};
  int last_kept = -1, last_reduced = -1;
  bool closed = false;  // a kept axis has followed a reduced one
  for (int i = 0; i < count; ++i) {
    const bool is_reduced = reduced >> order[i] & 1;
    int& last = is_reduced ? last_reduced : last_kept;
    if (order[i] < last || (is_reduced && closed))
      return {};
    last = order[i];
    closed = closed || (!is_reduced && last_reduced >= 0);
    (is_reduced ? seen.reduced : closed ? seen.inner : seen.outer) *= x.size(order[i]);
  }
  return seen;
}

// As [outer, reduced, inner], by a copy to [kept, reduced] where it has to be.
Seen see(const Tensor& x, unsigned reduced) {
  if (auto seen = seen_in_place(x, reduced))
    return *seen;
  Seen seen;
  std::vector<int> order;
  for (const unsigned wanted : {0u, 1u})
    for (int i = 0; i < x.rank(); ++i)
      if ((reduced >> i & 1) == wanted) {
        order.push_back(i);
        (wanted ? seen.reduced : seen.outer) *= x.size(i);
      }
  seen.x = contiguous(x.permute(order));
  return seen;
}

// Writes the result into `out` through `fill`, by way of a temporary where `out` has gaps.
template <class F>
Tensor into_given(const char* operation, const Tensor& x, const Shape& shape, const Into& into,
                  F fill) {
  const DType dtype = x.dtype();
  const Device device = x.device();
  if (!into.out.defined()) {
    const Tensor out = Tensor::empty(shape, dtype, device);
    fill(out, false);
    return out;
  }
  require(into.out.shape() == shape && into.out.dtype() == dtype && into.out.device() == device,
          "{}: the given result is {} {} on {}, needed is {} {} on {}.", operation,
          into.out.shape(), into.out.dtype(), into.out.device(), shape, dtype, device);
  require_writable(operation, "the given result", into.out);
  require(!overlap(into.out, x),
          "{}: the given result shares memory with what is reduced. Give it memory of its own.",
          operation);
  if (into.out.contiguous()) {
    into.out.storage()->written();
    fill(into.out, into.add);
    return into.out;
  }
  const Tensor between = Tensor::empty(shape, dtype, device);
  fill(between, false);
  into.add ? add_into(into.out, between) : copy_into(into.out, between);
  return into.out;
}

// Fills `out`, where there is something to fill. On meta there is only the workspace.
void run(const char* operation, ReduceProblem problem, const Tensor& x, const Tensor& out) {
  launched({operation, 0, static_cast<double>(x.bytes() + (problem.add ? 2 : 1) * out.bytes())});
  if (out.numel() == 0)
    return;
  const ReduceBackend& backend = reduce_family().serving(out.device());
  const auto bytes = static_cast<std::int64_t>(backend.workspace(problem));
  const Tensor workspace = bytes ? Tensor::empty({bytes}, DType::u8, out.device()) : Tensor();
  if (out.is_meta())
    return;
  problem.x = x.raw();
  problem.out = out.raw();
  backend.fill(problem, bytes ? workspace.raw() : nullptr);
}

}  // namespace

Family<ReduceBackend>& reduce_family() {
  static Family<ReduceBackend> family("reduce");
  return family;
}

Tensor reduce(Reduction how, const Tensor& x, const std::vector<int>& axes, Keep keep,
              const Into& into) {
  const char* operation = name_of(how);
  require(x.defined(), "{}: the tensor is undefined.", operation);
  require(is_floating(x.dtype()),
          "{}: {} is not reduced: only floating-point types are. Use cast() first.", operation,
          x.dtype());
  const unsigned reduced = reduced_axes(operation, x, axes);
  const Shape shape = without_reduced(x.shape(), reduced, keep);
  require(how != Reduction::max || x.numel() > 0 || shape.numel() == 0,
          "max: there is no largest of no elements: the shape is {}.", x.shape());
  const Seen seen = see(x, reduced);
  return into_given(operation, x, shape, into, [&](const Tensor& out, bool add) {
    run(operation,
        {how, false, x.dtype(), seen.outer, seen.reduced, seen.inner, nullptr, nullptr, add},
        seen.x, out);
  });
}

Tensor sum_to(const Tensor& x, const Shape& shape, const Into& into) {
  require(x.defined(), "sum_to: the tensor is undefined.");
  require(shape.rank() <= x.rank() && broadcast("sum_to", shape, x.shape()) == x.shape(),
          "sum_to: {} does not stretch to {}, so that has no sum over it.", shape, x.shape());
  Shape padded = Shape::filled(x.rank(), 1);
  std::vector<int> axes;
  for (int i = 1; i <= x.rank(); ++i) {
    if (i <= shape.rank())
      padded[-i] = shape[-i];
    if (padded[-i] != x.size(-i))
      axes.push_back(-i);
  }
  if (axes.empty() && !into.out.defined())
    return x.reshape(shape);
  if (axes.empty()) {
    into.add ? add_into(into.out, x.reshape(shape)) : copy_into(into.out, x.reshape(shape));
    return into.out;
  }
  if (!into.out.defined())
    return reduce(Reduction::sum, x, axes, Keep::yes).reshape(shape);
  require(into.out.shape() == shape, "sum_to: the given result is {}, needed is {}.",
          into.out.shape(), shape);
  reduce(Reduction::sum, x, axes, Keep::yes, {into.out.reshape(padded), into.add});
  return into.out;
}

Tensor argmax(const Tensor& x, int axis) {
  require(x.defined(), "argmax: the tensor is undefined.");
  require(is_floating(x.dtype()),
          "argmax: {} has no largest here: only floating-point types have. Use cast() first.",
          x.dtype());
  const int at = x.axis("argmax", axis);
  const Tensor out = Tensor::empty(x.shape().without(at), DType::i64, x.device());
  require(x.size(at) > 0 || out.numel() == 0,
          "argmax: there is no largest of no elements: the shape is {}.", x.shape());
  const Seen seen = see(x, 1u << at);
  run("argmax",
      {Reduction::max, true, x.dtype(), seen.outer, seen.reduced, seen.inner, nullptr, nullptr,
       false},
      seen.x, out);
  return out;
}

}  // namespace likely::kernels
