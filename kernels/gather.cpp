// The front of gathers and their adjoints: shapes, and every index within its range.
#include "kernels/gather.h"

#include "kernels/copy.h"
#include "kernels/graph.h"

namespace likely::kernels {
namespace {

thread_local int late_checks = 0;

// The index, contiguous and checked before any work. (On another device than the CPU that waits,
// and in a recording it cannot be: kernels make NaN of an index that is out of range too.)
Tensor checked(const char* operation, const Tensor& x, const Tensor& index, const char* what,
               std::int64_t end) {
  require(x.device() == index.device(),
          "{}: tensors of two devices: {} with an index on {}. Use to() first.", operation,
          x.device(), index.device());
  const Tensor flat = contiguous(index);
  const bool later =
      recording() || (late_checks && is_floating(x.dtype()));  // integers have no NaN
  if (flat.is_meta() || (later && flat.device().kind != Device::cpu))
    return flat;
  const Tensor here = flat.to(Device::cpu);
  const std::int64_t* values = here.data<std::int64_t>();
  for (std::int64_t i = 0; i < here.numel(); ++i)
    require(values[i] >= 0 && values[i] < end,
            "{}: an index is out of range: index[{}] is {}, {} are [0, {}). Check where the "
            "indices come from.",
            operation, i, values[i], what, end);
  return flat;
}

void check_form(const char* operation, const Tensor& x, const Tensor& index, int rank) {
  require(x.defined() && index.defined(), "{}: a tensor is undefined.", operation);
  require(index.dtype() == DType::i64 && index.rank() == 1,
          "{}: the index is {} {}. Give i64 of one axis.", operation, index.shape(), index.dtype());
  require(rank > 0 ? x.rank() == rank : x.rank() >= 1, "{}: {} has {} axes. Give {}.", operation,
          x.shape(), x.rank(), rank > 0 ? std::to_string(rank) : "at least one");
}

void check_rows(const char* operation, const Tensor& x, const Tensor& index) {
  require(x.size(0) == index.numel(), "{}: {} indices for {}. Give one for each row.", operation,
          index.numel(), x.shape());
}

// Elements of one row of x [rows, …].
std::int64_t width_of(const Tensor& x) { return x.shape().without(0).numel(); }

// `moved` elements are read and written.
void launch(const char* operation, void (*GatherBackend::*fill)(const GatherProblem&),
            std::int64_t rows, std::int64_t width, const Tensor& from, const Tensor& index,
            const Tensor& out, std::int64_t moved) {
  launched({operation, 0,
            static_cast<double>(moved) * static_cast<double>(size_of(out.dtype())) +
                static_cast<double>(index.bytes())});
  if (out.is_meta() || out.numel() == 0)
    return;
  (gather_family().serving(out.device()).*fill)(
      {out.dtype(), rows, index.numel(), width, from.raw(), index.data<std::int64_t>(), out.raw()});
}

}  // namespace

Family<GatherBackend>& gather_family() {
  static Family<GatherBackend> family("gather");
  return family;
}

LateIndexChecks::LateIndexChecks() { ++late_checks; }
LateIndexChecks::~LateIndexChecks() { --late_checks; }

Tensor take(const Tensor& x, const Tensor& index) {
  check_form("take", x, index, 0);
  const Tensor at = checked("take", x, index, "rows", x.size(0)), from = contiguous(x);
  const Tensor out = Tensor::empty(x.shape().with(0, index.numel()), x.dtype(), x.device());
  launch("take", &GatherBackend::take, x.size(0), width_of(x), from, at, out, 2 * out.numel());
  return out;
}

Tensor scatter_add(const Tensor& g, const Tensor& index, std::int64_t rows) {
  check_form("scatter_add", g, index, 0);
  require(is_floating(g.dtype()),
          "scatter_add: {} does not add here: only floating-point types do.", g.dtype());
  check_rows("scatter_add", g, index);
  if (g.dtype() == DType::bf16)  // sums are rounded once, at the end
    return cast(scatter_add(cast(g, DType::f32), index, rows), DType::bf16);
  const Tensor at = checked("scatter_add", g, index, "rows", rows), from = contiguous(g);
  const Tensor out = Tensor::empty(g.shape().with(0, rows), g.dtype(), g.device());
  launch("scatter_add", &GatherBackend::scatter_add, rows, width_of(g), from, at, out,
         3 * g.numel() + out.numel());
  return out;
}

Tensor pick(const Tensor& x, const Tensor& index) {
  check_form("pick", x, index, 2);
  check_rows("pick", x, index);
  const Tensor at = checked("pick", x, index, "classes", x.size(1)), from = contiguous(x);
  const Tensor out = Tensor::empty(index.shape(), x.dtype(), x.device());
  launch("pick", &GatherBackend::pick, x.size(0), x.size(1), from, at, out, 2 * out.numel());
  return out;
}

Tensor place(const Tensor& g, const Tensor& index, std::int64_t classes) {
  check_form("place", g, index, 1);
  check_rows("place", g, index);
  const Tensor at = checked("place", g, index, "classes", classes), from = contiguous(g);
  const Tensor out = Tensor::empty({g.size(0), classes}, g.dtype(), g.device());
  launch("place", &GatherBackend::place, g.size(0), classes, from, at, out,
         g.numel() + out.numel());
  return out;
}

}  // namespace likely::kernels
