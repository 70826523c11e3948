// Gathers and their adjoints on the CPU. A thread owns rows or columns of the result, so sums need
// no atomics and keep their order.
#include "kernels/gather.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t chunk = 1 << 14;  // elements a thread takes at a time

// Calls f(i) for each of `count` items of `size` elements, in parallel.
template <class F>
void for_each_item(std::int64_t count, std::int64_t size, F f) {
  parallel_for(count, std::max<std::int64_t>(chunk / std::max<std::int64_t>(size, 1), 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i)
                   f(i);
               });
}

void take(const GatherProblem& problem) {
  const auto bytes = static_cast<std::int64_t>(size_of(problem.dtype)) * problem.width;
  const auto* from = static_cast<const std::byte*>(problem.from);
  auto* to = static_cast<std::byte*>(problem.to);
  for_each_item(problem.count, problem.width, [&](std::int64_t i) {
    std::memcpy(to + i * bytes, from + problem.index[i] * bytes, static_cast<std::size_t>(bytes));
  });
}

template <class T>
void scatter_add_typed(const GatherProblem& problem) {
  const auto* from = static_cast<const T*>(problem.from);
  auto* to = static_cast<T*>(problem.to);
  const std::int64_t grain =
      std::max<std::int64_t>(chunk / std::max<std::int64_t>(problem.count + problem.rows, 1), 16);
  parallel_for(problem.width, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = 0; row < problem.rows; ++row)
      std::fill(to + row * problem.width + begin, to + row * problem.width + end, T{0});
    for (std::int64_t i = 0; i < problem.count; ++i) {
      T* sum = to + problem.index[i] * problem.width;
      const T* g = from + i * problem.width;
      for (std::int64_t c = begin; c < end; ++c)
        sum[c] += g[c];
    }
  });
}

void scatter_add(const GatherProblem& problem) {
  problem.dtype == DType::f32 ? scatter_add_typed<float>(problem)
                              : scatter_add_typed<double>(problem);
}

void pick(const GatherProblem& problem) {
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    const auto* from = static_cast<const T*>(problem.from);
    auto* to = static_cast<T*>(problem.to);
    for_each_item(problem.count, 1,
                  [&](std::int64_t i) { to[i] = from[i * problem.width + problem.index[i]]; });
  });
}

void place(const GatherProblem& problem) {
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    const auto* from = static_cast<const T*>(problem.from);
    auto* to = static_cast<T*>(problem.to);
    for_each_item(problem.count, problem.width, [&](std::int64_t i) {
      T* row = to + i * problem.width;
      std::fill_n(row, problem.width, T{});
      row[problem.index[i]] = from[i];
    });
  });
}

const Registered<GatherBackend> registered(gather_family(), Device::cpu, Source::own,
                                           {"gather", take, scatter_add, pick, place});

}  // namespace
}  // namespace likely::kernels
