// Pooling on the CPU: all channels of a pixel at a time.
#include "kernels/pool.h"

#include <algorithm>

#include "kernels/convert.h"
#include "kernels/parallel.h"
#include "kernels/pool_geometry.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t chunk = 1 << 14;      // elements a thread takes at a time
constexpr std::int64_t most_channels = 256;  // at once

// f(batch, row, column, number) for every pixel of [batch, extent], a few rows a thread.
template <class F>
void each_of(const PoolProblem& p, Pixels extent, F f) {
  const std::int64_t row = extent.columns * p.channels;
  parallel_for(p.batch * extent.rows, std::max<std::int64_t>(chunk / row, 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i)
                   for (std::int64_t j = 0; j < extent.columns; ++j)
                     f(i / extent.rows, i % extent.rows, j, i * extent.columns + j);
               });
}

template <class T>
void max(const PoolProblem& p) {
  using A = Computed<T>;
  each_of(p, p.windows,
          [&](std::int64_t batch, std::int64_t row, std::int64_t column, std::int64_t number) {
            const T* image =
                static_cast<const T*>(p.from) + batch * p.image.rows * p.image.columns * p.channels;
            T* y = static_cast<T*>(p.to) + number * p.channels;
            std::int32_t* at = p.tap + number * p.channels;
            bool first = true;
            each_pixel(p, row, column, [&](std::int32_t tap, std::int64_t pixel) {
              const T* x = image + pixel * p.channels;
#pragma omp simd
              for (std::int64_t c = 0; c < p.channels; ++c) {
                const A value = static_cast<A>(x[c]), largest = static_cast<A>(y[c]);
                const bool larger =
                    first | (value > largest) | ((value != value) & (largest == largest));
                y[c] = larger ? x[c] : y[c];
                at[c] = larger ? tap : at[c];
              }
              first = false;
            });
          });
}

// `to` = share Σ of the pixels of `from` that each(…) gives, whose tap is theirs; taps lie with the
// windows.
template <class T, bool forward>
void sums(const PoolProblem& p) {
  using A = Computed<T>;
  const Pixels &to = forward ? p.windows : p.image, &from = forward ? p.image : p.windows;
  each_of(p, to,
          [&](std::int64_t batch, std::int64_t row, std::int64_t column, std::int64_t number) {
            const std::int64_t there = batch * from.rows * from.columns;
            for (std::int64_t first = 0; first < p.channels; first += most_channels) {
              const std::int64_t count = std::min(most_channels, p.channels - first);
              A sum[most_channels] = {};
              const auto add = [&](std::int32_t tap, std::int64_t pixel) {
                const std::int64_t at = (there + pixel) * p.channels + first;
                const T* x = static_cast<const T*>(p.from) + at;
                const std::int32_t* own =
                    p.tap ? p.tap + (forward ? number * p.channels + first : at) : nullptr;
#pragma omp simd
                for (std::int64_t c = 0; c < count; ++c)
                  sum[c] += !own || own[c] == tap ? static_cast<A>(x[c]) : A(0);
              };
              if constexpr (forward)
                each_pixel(p, row, column, add);
              else
                each_window(p, row, column, add);
              T* out = static_cast<T*>(p.to) + number * p.channels + first;
              for (std::int64_t c = 0; c < count; ++c)
                out[c] = T(sum[c] / static_cast<A>(p.divisor));
            }
          });
}

const Registered<PoolBackend> registered(
    pool_family(), Device::cpu, Source::own,
    {"pool",
     [](const PoolProblem& problem) {
       with_floating(problem.dtype, [&]<class T>(Type<T>) { max<T>(problem); });
     },
     [](const PoolProblem& problem) {
       with_floating(problem.dtype, [&]<class T>(Type<T>) { sums<T, true>(problem); });
     },
     [](const PoolProblem& problem) {
       with_floating(problem.dtype, [&]<class T>(Type<T>) { sums<T, false>(problem); });
     }});

}  // namespace
}  // namespace likely::kernels
