// Reductions on the CPU: which thread sums which part. The loops are in isa/reduce.cpp.
#include "kernels/reduce.h"

#include <algorithm>
#include <bit>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/reduce.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t chunk = 1 << 15;  // elements a thread takes at a time
constexpr std::int64_t most_parts = 64;  // of one long sum

const ReduceTable& table() { return for_isa(isa_v3::reduce_table, isa_v4::reduce_table); }

template <class T>
struct Stored {
  using type = T;
  using Accumulator = T;
  static const auto& loops() {
    if constexpr (std::is_same_v<T, float>)
      return table().f32;
    else
      return table().f64;
  }
};
template <>
struct Stored<bf16> {
  using type = std::uint16_t;
  using Accumulator = float;
  static const auto& loops() { return table().bf16; }
};

template <class T>
struct Reducer {
  using A = typename Stored<T>::Accumulator;
  using S = typename Stored<T>::type;

  const ReduceProblem& problem;
  const bool max = problem.how == Reduction::max;
  const std::int64_t panels = (problem.inner - 1) / reduce_columns + 1;
  const std::int64_t columns = std::min(problem.inner, reduce_columns);  // of a panel
  const ReduceLoops<S, A>& loops = Stored<T>::loops();

  void run() const {
    const std::int64_t tasks = problem.outer * panels;
    const std::int64_t elements = problem.reduced * columns;  // of a task
    if (tasks < 8 && elements > 2 * chunk) {
      for (std::int64_t task = 0; task < tasks; ++task)
        share(task / panels, task % panels * reduce_columns);
      return;
    }
    const std::int64_t grain =
        std::max<std::int64_t>(chunk / std::max<std::int64_t>(elements, 1), 1);
    parallel_for(tasks, grain, [&](std::int64_t begin, std::int64_t end) {
      if (panels == 1)
        rows_of_one_panel(begin, end);
      else
        for (std::int64_t task = begin; task < end; ++task)
          one_thread(task / panels, task % panels * reduce_columns);
    });
  }

  const S* at(std::int64_t outer, std::int64_t first) const {
    return static_cast<const S*>(problem.x) + outer * problem.reduced * problem.inner + first;
  }

  // Outer indices [begin, end) where all columns fit a panel.
  void rows_of_one_panel(std::int64_t begin, std::int64_t end) const {
    A sums[8 * reduce_columns];
    const std::int64_t step = 8 * reduce_columns / columns;
    for (std::int64_t outer = begin; outer < end; outer += step) {
      const std::int64_t count = std::min(step, end - outer);
      if (problem.reduced > 0)
        loops.reduce(max, at(outer, 0), count, problem.reduced, columns, columns, sums);
      else
        std::fill_n(sums, count * columns, A{0});
      put(sums, outer * columns, count * columns);
    }
  }

  void one_thread(std::int64_t outer, std::int64_t first) const {
    A sums[reduce_columns] = {};
    const std::int64_t here = std::min(columns, problem.inner - first);
    if (problem.reduced > 0)
      loops.reduce(max, at(outer, first), 1, problem.reduced, problem.inner, here, sums);
    put(sums, outer * problem.inner + first, here);
  }

  // A long reduction shared out in equal powers of two of blocks.
  void share(std::int64_t outer, std::int64_t first) const {
    const std::int64_t here = std::min(columns, problem.inner - first);
    const std::int64_t least = std::max((problem.reduced - 1) / most_parts + 1, chunk / here);
    const auto rows = static_cast<std::int64_t>(
        std::bit_ceil(static_cast<std::uint64_t>(std::max(least, reduce_block))));
    A parts[most_parts * reduce_columns], sums[reduce_columns];
    parallel_for(problem.reduced, rows, [&](std::int64_t begin, std::int64_t end) {
      loops.reduce(max, at(outer, first) + begin * problem.inner, 1, end - begin, problem.inner,
                   here, parts + begin / rows * here);
    });
    loops.combine(max, parts, (problem.reduced - 1) / rows + 1, here, sums);
    put(sums, outer * problem.inner + first, here);
  }

  void put(const A* sums, std::int64_t begin, std::int64_t count) const {
    auto* out = static_cast<T*>(problem.out) + begin;
    for (std::int64_t i = 0; i < count; ++i) {
      A value =
          problem.how == Reduction::mean ? sums[i] / static_cast<A>(problem.reduced) : sums[i];
      if (problem.add)
        value += static_cast<A>(out[i]);
      out[i] = T(value);
    }
  }
};

// One row of columns at a time, against the largest so far.
template <class T>
void argmax_panel(const ReduceProblem& problem, std::int64_t outer, std::int64_t first) {
  using A = typename Stored<T>::Accumulator;
  const std::int64_t columns = std::min(reduce_columns, problem.inner - first);
  const auto* x =
      static_cast<const T*>(problem.x) + outer * problem.reduced * problem.inner + first;
  auto* at = static_cast<std::int64_t*>(problem.out) + outer * problem.inner + first;
  A largest[reduce_columns];
  for (std::int64_t c = 0; c < columns; ++c) {
    largest[c] = static_cast<A>(x[c]);
    at[c] = 0;
  }
  for (std::int64_t r = 1; r < problem.reduced; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      const A value = static_cast<A>(x[r * problem.inner + c]);
      if (value > largest[c] || (value != value && largest[c] == largest[c])) {
        largest[c] = value;
        at[c] = r;
      }
    }
}

template <class T>
void argmax(const ReduceProblem& problem) {
  const std::int64_t panels = (problem.inner - 1) / reduce_columns + 1;
  const std::int64_t elements = problem.reduced * std::min(problem.inner, reduce_columns);
  parallel_for(problem.outer * panels, std::max<std::int64_t>(chunk / elements, 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t task = begin; task < end; ++task)
                   argmax_panel<T>(problem, task / panels, task % panels * reduce_columns);
               });
}

void fill(const ReduceProblem& problem, void*) {
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    if constexpr (is_floating(dtype_of<T>))
      problem.position ? argmax<T>(problem) : Reducer<T>{problem}.run();
  });
}

std::size_t no_workspace(const ReduceProblem&) { return 0; }

const Registered<ReduceBackend> registered(reduce_family(), Device::cpu, Source::own,
                                           {"reduce", no_workspace, fill});

}  // namespace
}  // namespace likely::kernels
