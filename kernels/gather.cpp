// The front of gathering and scattering: shapes, types, and every index before any work.
#include "kernels/gather.h"

#include "kernels/copy.h"

namespace likely::kernels {
namespace {

void require_indices(const char* operation, const Tensor& index, std::int64_t count,
                     std::int64_t below) {
  require(index.defined() && index.rank() == 1 && index.dtype() == DType::i64,
          "{}: the index is {} {}. It must be i64 [n].", operation, index.dtype(), index.shape());
  require(count < 0 || index.size(0) == count, "{}: {} indices for {} rows. Give one a row.",
          operation, index.size(0), count);
  if (index.is_meta())
    return;
  const std::vector<std::int64_t> values = index.to_vector<std::int64_t>();
  for (std::size_t i = 0; i < values.size(); ++i)
    require(values[i] >= 0 && values[i] < below,
            "{}: index {} is {}, outside 0 … {}. Check where it comes from.", operation, i,
            values[i], below - 1);
}

void require_same_device(const char* operation, const Tensor& x, const Tensor& index) {
  require(x.defined(), "{}: the tensor is undefined.", operation);
  require(x.device() == index.device(), "{}: a tensor on {} and an index on {}. Use to() first.",
          operation, x.device(), index.device());
}

using Fill = void (*GatherBackend::*)(const GatherProblem&);

// Rows of the table, indices and elements a row are in `sizes`.
void run(const char* operation, Fill fill, const Tensor& from, const Tensor& index,
         const Tensor& to, const GatherProblem& sizes) {
  const Tensor source = contiguous(from), positions = contiguous(index);
  launched({operation, 0, static_cast<double>(source.bytes() + positions.bytes() + to.bytes())});
  if (to.is_meta() || to.numel() == 0)
    return;
  GatherProblem problem = sizes;
  problem.dtype = from.dtype();
  problem.from = source.raw();
  problem.index = positions.data<std::int64_t>();
  problem.to = to.raw();
  (gather_family().serving(to.device()).*fill)(problem);
}

GatherProblem sizes(std::int64_t rows, std::int64_t count, std::int64_t width) {
  return {DType::f32, rows, count, width, nullptr, nullptr, nullptr};
}

}  // namespace

Family<GatherBackend>& gather_family() {
  static Family<GatherBackend> family("gather");
  return family;
}

Tensor take(const Tensor& x, const Tensor& index) {
  require_same_device("take", x, index);
  require(x.rank() >= 1, "take: a scalar has no rows. Give at least one axis.");
  require_indices("take", index, -1, x.size(0));
  const Tensor out = Tensor::empty(x.shape().with(0, index.size(0)), x.dtype(), x.device());
  run("take", &GatherBackend::take, x, index, out,
      sizes(x.size(0), index.size(0), x.shape().without(0).numel()));
  return out;
}

Tensor scatter_add(const Tensor& g, const Tensor& index, std::int64_t rows) {
  require_same_device("scatter_add", g, index);
  require(g.rank() >= 1 && is_floating(g.dtype()),
          "scatter_add: got {} {}. Rows of a floating-point type add.", g.dtype(), g.shape());
  require_indices("scatter_add", index, g.size(0), rows);
  const Tensor out = zeros(g.shape().with(0, rows), g.dtype(), g.device());
  run("scatter_add", &GatherBackend::scatter_add, g, index, out,
      sizes(rows, index.size(0), g.shape().without(0).numel()));
  return out;
}

Tensor pick(const Tensor& x, const Tensor& index) {
  require_same_device("pick", x, index);
  require(x.rank() == 2, "pick: x is {}. It must be [n, classes].", x.shape());
  require_indices("pick", index, x.size(0), x.size(1));
  const Tensor out = Tensor::empty({x.size(0)}, x.dtype(), x.device());
  run("pick", &GatherBackend::pick, x, index, out, sizes(x.size(0), x.size(0), x.size(1)));
  return out;
}

Tensor place(const Tensor& g, const Tensor& index, std::int64_t classes) {
  require_same_device("place", g, index);
  require(g.rank() == 1, "place: g is {}. It must be [n].", g.shape());
  require_indices("place", index, g.size(0), classes);
  const Tensor out = zeros({g.size(0), classes}, g.dtype(), g.device());
  run("place", &GatherBackend::place, g, index, out, sizes(g.size(0), g.size(0), classes));
  return out;
}

}  // namespace likely::kernels
