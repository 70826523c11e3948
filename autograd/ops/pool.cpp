#include "kernels/pool.h"

#include "autograd/op.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "kernels/copy.h"

namespace likely {
namespace {

const PoolOptions overlapping{3, {2, 1}, {1, 0, 1, 1}};

const Op max_pool_op{"max_pool",
                     Case{"blocks",
                          [](Samples& s) {
                            return max_pool(s.normal({2, 4, 6, 3}), {});
                          }},
                     Case{"overlapping", [](Samples& s) {
                            return max_pool(s.normal({2, 5, 4, 3}), overlapping);
                          }}};
const Op average_pool_op{"average_pool",
                         Case{"blocks",
                              [](Samples& s) {
                                return average_pool(s.normal({2, 4, 6, 3}), {});
                              }},
                         Case{"overlapping", [](Samples& s) {
                                return average_pool(s.normal({2, 5, 4, 3}), overlapping);
                              }}};

// Σ over a window's taps of the image, divided, of one tap where `tap` is defined; and its adjoint.
struct Windows {
  const Op& op;
  Tensor tap;
  PoolOptions options;
  Pixels image;
  double divisor;
};
Variable spread_over(const Windows& of, const Variable& g);
Variable gathered(const Windows& of, const Variable& x) {
  return of.op.record(
      kernels::pool_sum(x.value(), of.tap, of.options, of.divisor), {x},
      [of](const Variable& g, const Wants&) -> Variables { return {spread_over(of, g)}; });
}
Variable spread_over(const Windows& of, const Variable& g) {
  return of.op.record(
      kernels::pool_spread(g.value(), of.tap, of.options, of.image, of.divisor), {g},
      [of](const Variable& h, const Wants&) -> Variables { return {gathered(of, h)}; });
}

Pixels extent_of(const Variable& x) {
  return x.rank() == 4 ? Pixels(x.size(1), x.size(2)) : Pixels(0);
}

}  // namespace

Variable max_pool(const Variable& x, const PoolOptions& options) {
  kernels::MaxPooled pooled = kernels::max_pool(x.value(), options);
  if (watched()) {  // which is the largest jumps: all taps before it are on one side
    const Variable tap(kernels::cast(pooled.tap, DType::f64));
    for (std::int64_t t = 0; t < options.kernel.rows * options.kernel.columns; ++t)
      watch_kink((tap - static_cast<double>(t)).value());
  }
  const Windows of{max_pool_op, pooled.tap, options, extent_of(x), 1};
  return max_pool_op.record(
      std::move(pooled.y), {x},
      [of](const Variable& g, const Wants&) -> Variables { return {spread_over(of, g)}; });
}

Variable average_pool(const Variable& x, const PoolOptions& options) {
  const double taps =
      static_cast<double>(options.kernel.rows) * static_cast<double>(options.kernel.columns);
  return gathered({average_pool_op, {}, options, extent_of(x), taps}, x);
}

}  // namespace likely
