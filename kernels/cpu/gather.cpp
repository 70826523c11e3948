// Gathering and scattering on the CPU. A scatter gives each thread columns, so that every sum runs
// in ascending order of the index's positions, whatever the number of threads.
#include "kernels/gather.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t chunk_bytes = 1 << 16;

std::int64_t rows_a_chunk(const GatherProblem& p) {
  const auto row = p.width * static_cast<std::int64_t>(size_of(p.dtype));
  return std::max<std::int64_t>(chunk_bytes / std::max<std::int64_t>(row, 1), 1);
}

void take(const GatherProblem& p) {
  const std::size_t row = static_cast<std::size_t>(p.width) * size_of(p.dtype);
  const auto* from = static_cast<const std::byte*>(p.from);
  auto* to = static_cast<std::byte*>(p.to);
  parallel_for(p.count, rows_a_chunk(p), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(to + static_cast<std::size_t>(i) * row,
                  from + static_cast<std::size_t>(p.index[i]) * row, row);
  });
}

template <class T>
T sum(T a, T b) {
  if constexpr (std::is_same_v<T, bf16>)
    return bf16(static_cast<float>(a) + static_cast<float>(b));
  else
    return static_cast<T>(a + b);
}

void scatter_add(const GatherProblem& p) {
  with_type(p.dtype, [&]<class T>(Type<T>) {
    const auto* from = static_cast<const T*>(p.from);
    auto* to = static_cast<T*>(p.to);
    const std::int64_t columns =
        std::max<std::int64_t>((1 << 15) / std::max<std::int64_t>(p.count, 1), 16);
    parallel_for(p.width, columns, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = 0; i < p.count; ++i)
        for (std::int64_t j = begin; j < end; ++j) {
          T& place = to[p.index[i] * p.width + j];
          place = sum(place, from[i * p.width + j]);
        }
    });
  });
}

void pick(const GatherProblem& p) {
  with_type(p.dtype, [&]<class T>(Type<T>) {
    for (std::int64_t i = 0; i < p.count; ++i)
      static_cast<T*>(p.to)[i] = static_cast<const T*>(p.from)[i * p.width + p.index[i]];
  });
}

void place(const GatherProblem& p) {
  with_type(p.dtype, [&]<class T>(Type<T>) {
    for (std::int64_t i = 0; i < p.count; ++i)
      static_cast<T*>(p.to)[i * p.width + p.index[i]] = static_cast<const T*>(p.from)[i];
  });
}

const Registered<GatherBackend> registered(gather_family(), Device::cpu, Source::own,
                                           {"gather", take, scatter_add, pick, place});

}  // namespace
}  // namespace likely::kernels
