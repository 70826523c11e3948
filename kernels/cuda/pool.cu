// Pooling on CUDA: a thread owns a pack of channels of what it writes, so that nothing is added by
// two.
#include "kernels/convert.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/lanes.h"
#include "kernels/pool.h"
#include "kernels/pool_geometry.h"

namespace likely::kernels::cuda {
namespace {

// Where a thread's pack lies: `at` is its pixel of [batch, extent], `first` its first channel.
struct Spot {
  std::int64_t pixel, batch, row, column, first;

  LIKELY_DEVICE Spot(const PoolProblem& p, const Pixels& extent, int size) {
    const auto thread = static_cast<std::uint64_t>(thread_number());
    const auto packs = static_cast<std::uint64_t>(quotient_up(p.channels, size));
    const auto columns = static_cast<std::uint64_t>(extent.columns);
    const auto rows = static_cast<std::uint64_t>(extent.rows);
    const std::uint64_t at = thread / packs, line = at / columns;
    first = static_cast<std::int64_t>(thread - at * packs) * size;
    pixel = static_cast<std::int64_t>(at);
    column = static_cast<std::int64_t>(at - line * columns);
    batch = static_cast<std::int64_t>(line / rows);
    row = static_cast<std::int64_t>(line - line / rows * rows);
  }
};

template <class T>
__global__ void __launch_bounds__(block_threads, 2) largest(PoolProblem p, bool aligned) {
  using A = Computed<T>;
  constexpr int size = Pack<T>::size;
  const Spot spot(p, p.windows, size);
  if (spot.batch >= p.batch)
    return;
  const std::int64_t left = p.channels - spot.first;
  const T* image = static_cast<const T*>(p.from) +
                   spot.batch * p.image.rows * p.image.columns * p.channels + spot.first;
  Pack<T> y{};
  std::int32_t at[size] = {};
  bool first = true;
  each_pixel(p, spot.row, spot.column, [&](std::int32_t tap, std::int64_t pixel) {
    const Pack<T> x = load_some(image + pixel * p.channels, left, aligned);
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k) {
      const A value = static_cast<A>(x.value[k]), before = static_cast<A>(y.value[k]);
      if (first || value > before || (value != value && before == before)) {
        y.value[k] = x.value[k];
        at[k] = tap;
      }
    }
    first = false;
  });
  const std::int64_t to = spot.pixel * p.channels + spot.first;
  store_some(static_cast<T*>(p.to) + to, y, left, aligned);
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    if (k < left)
      p.tap[to + k] = at[k];
}

template <class T, bool forward>
__global__ void __launch_bounds__(block_threads, 2) sums(PoolProblem p, bool aligned) {
  using A = Computed<T>;
  constexpr int size = Pack<T>::size;
  const Pixels &extent = forward ? p.windows : p.image, &other = forward ? p.image : p.windows;
  const Spot spot(p, extent, size);
  if (spot.batch >= p.batch)
    return;
  const std::int64_t left = p.channels - spot.first,
                     there = spot.batch * other.rows * other.columns;
  const std::int64_t to = spot.pixel * p.channels + spot.first;
  A sum[size] = {};
  const auto add = [&](std::int32_t tap, std::int64_t pixel) {
    const std::int64_t from = (there + pixel) * p.channels + spot.first;
    const Pack<T> x = load_some(static_cast<const T*>(p.from) + from, left, aligned);
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      if (!p.tap || (k < left && p.tap[(forward ? to : from) + k] == tap))
        sum[k] += static_cast<A>(x.value[k]);
  };
  if constexpr (forward)
    each_pixel(p, spot.row, spot.column, add);
  else
    each_window(p, spot.row, spot.column, add);
  Pack<T> y{};
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    y.value[k] = T(sum[k] / static_cast<A>(p.divisor));
  store_some(static_cast<T*>(p.to) + to, y, left, aligned);
}

// All that pooling does, of windows that overlap and reach over the edge, or do neither.
Tensors all_of(const Tensor& x, const PoolOptions& options) {
  const MaxPooled pooled = max_pool(x, options);
  const Pixels image(x.size(1), x.size(2));
  return {pooled.y, pool_sum(x, {}, options, 4), pool_sum(x, pooled.tap, options, 1),
          pool_spread(pooled.y, {}, options, image, 4),
          pool_spread(pooled.y, pooled.tap, options, image, 1)};
}
template <class T>
Proof proof(const char* name, const Shape& shape, const PoolOptions& options) {
  return {name, bar_of(dtype_of<T>),
          [=](Inputs& in) { return all_of(in.uniform(shape, -0.5, 1.5), options); }};
}
template <class T>
Proof one_behind(const Shape& shape) {
  return {"one element behind", bar_of(dtype_of<T>), [=](Inputs& in) {
            const Tensor flat = in.uniform({shape.numel() + 1}, -0.5, 1.5);
            return all_of(kernels::one_behind(flat, shape), {});
          }};
}

// One variant a kernel, all with the same proofs.
template <class T>
struct Variants {
  static Variant named(const char* name) {
    return {"pool",
            name,
            dtype_of<T>,
            proof<T>("blocks", {3, 8, 6, 16}, {}),
            proof<T>("overlapping", {2, 7, 9, 13}, {3, {2, 1}, {1, 0, 1, 1}}),
            proof<T>("gaps", {2, 8, 9, 3}, {1, 2}),
            one_behind<T>({2, 4, 4, 8})};
  }
  inline static const Variant max = named("max"), sum = named("sum"), spread = named("spread");
};

template <class T, class Kernel>
void launch_on(const Variant& variant, Kernel kernel, const PoolProblem& p, const Pixels& extent) {
  const bool aligned = aligned16(p.from) && aligned16(p.to) && p.channels % Pack<T>::size == 0;
  launch(
      variant, kernel,
      threads_for(p.batch * extent.rows * extent.columns * quotient_up(p.channels, Pack<T>::size)),
      p, aligned);
}

const Registered<PoolBackend> registered(
    pool_family(), Device::cuda, Source::own,
    {"pool",
     [](const PoolProblem& p) {
       with_floating(p.dtype, [&]<class T>(Type<T>) {
         launch_on<T>(Variants<T>::max, largest<T>, p, p.windows);
       });
     },
     [](const PoolProblem& p) {
       with_floating(p.dtype, [&]<class T>(Type<T>) {
         launch_on<T>(Variants<T>::sum, sums<T, true>, p, p.windows);
       });
     },
     [](const PoolProblem& p) {
       with_floating(p.dtype, [&]<class T>(Type<T>) {
         launch_on<T>(Variants<T>::spread, sums<T, false>, p, p.image);
       });
     }});

}  // namespace
}  // namespace likely::kernels::cuda
