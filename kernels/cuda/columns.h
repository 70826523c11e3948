// Adjacent columns reduced by groups of threads, which join what their rows give. What a group does
// not finish in a few steps is cut into parts, and another launch reduces their values: a tree that
// depends on the reduced and inner extents alone. Reductions and normalisation share it.
#pragma once
#include <algorithm>
#include <bit>

#include "kernels/cuda/lanes.h"
#include "kernels/cuda/launch.h"

namespace likely::kernels::cuda {

constexpr int depth = 16;  // packs of a thread

// How groups share [outer, reduced, inner] out: `wide` threads beside each other along inner (1 in
// a row), `deep` along the reduced extent, both powers of two.
struct Cut {
  int wide, deep;
  std::int64_t part, parts;  // of the reduced extent, a group each
  LIKELY_HD int group() const { return wide * deep; }
};

inline int power_of_two(std::int64_t at_least, int at_most) {
  const auto power = std::bit_ceil(static_cast<std::uint64_t>(at_least));
  return static_cast<int>(std::min(power, static_cast<std::uint64_t>(at_most)));
}

inline Cut column_cut(int pack, std::int64_t reduced, std::int64_t inner) {
  Cut cut{};
  cut.wide = power_of_two(quotient_up(inner, pack), warp_size);
  cut.deep = power_of_two(quotient_up(reduced, depth), block_threads / cut.wide);
  cut.part = std::int64_t{depth} * cut.deep;
  cut.parts = std::max<std::int64_t>(quotient_up(reduced, cut.part), 1);
  return cut;
}

// Joins what a thread's packs hold, `at_once` loads under way together: of pack i the first left(i)
// elements.
template <class Op, int at_once, int size, class Left, class Load, class Element>
LIKELY_DEVICE void take(typename Op::Value (&value)[size], Left left, Load load, Element element) {
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    value[k] = Op::start();
  for (int i = 0; i < depth && left(i) > 0; i += at_once) {
    decltype(load(i)) pack[at_once];
    LIKELY_UNROLL
    for (int j = 0; j < at_once; ++j)
      pack[j] = load(i + j);
    LIKELY_UNROLL
    for (int j = 0; j < at_once; ++j) {
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k)
        if (k < left(i + j))
          value[k] = Op::join(value[k], element(pack[j], i + j, k));
    }
  }
}

// The columns and rows of [outer, reduced, inner] that a thread has: `size` from `column` on, of
// which `left` exist (none where that is not positive), in every deep-th row from `first` to `end`.
struct Share {
  int thread;         // of its group
  std::int64_t line;  // of [outer, parts]
  std::int64_t outer, column, left, first, end;

  LIKELY_DEVICE Share(const Cut& cut, int size, std::int64_t outer_extent, std::int64_t reduced,
                      std::int64_t inner) {
    const int group = cut.group();
    thread = static_cast<int>(threadIdx.x) % group;
    const std::int64_t index =
        std::int64_t{blockIdx.x} * (blockDim.x / group) + threadIdx.x / group;
    const std::int64_t panels = (inner - 1) / (cut.wide * size) + 1;
    line = index / panels;
    outer = line / cut.parts;
    column = (index % panels * cut.wide + thread % cut.wide) * size;
    left = outer < outer_extent ? inner - column : 0;
    const std::int64_t part = line % cut.parts;
    first = part * cut.part + thread / cut.wide;
    end = part == cut.parts - 1 ? reduced : (part + 1) * cut.part;
  }
};

// A Task has an Op, the `size` of a pack, cut, outer, reduced and inner. of(share) gives a thread
// its load(element, left) and value(pack, k, row); put(index, value) takes what is joined: of
// [outer, parts, inner].
template <class Task>
__global__ void __launch_bounds__(block_threads, 2) columns(Task task) {
  using Op = typename Task::Op;
  using Value = typename Op::Value;
  constexpr int size = Task::size;
  const Cut& cut = task.cut;
  const Share share(cut, size, task.outer, task.reduced, task.inner);
  const auto thread = task.of(share);
  const auto row = [&](int i) { return share.first + i * cut.deep; };
  const auto left = [&](int i) { return row(i) < share.end ? share.left : 0; };
  const auto element = [&](int i) {
    return (share.outer * task.reduced + row(i)) * task.inner + share.column;
  };

  Value value[size];
  take<Op, Task::at_once>(
      value, left, [&](int i) { return thread.load(element(i), left(i)); },
      [&](const auto& pack, int i, int k) { return thread.value(pack, k, row(i)); });
  join<Op>(value, cut.wide, cut.group(), shared<Warps<Value, size>>());
  __syncwarp();  // what put writes, others of the group have read: shuffles alone order no memory
  if (share.thread >= cut.wide)
    return;
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    if (k < share.left)
      task.put(share.line * task.inner + share.column + k, value[k]);
}

// The grid of groups that share [outer, reduced, inner] out.
inline Grid grid_of(const Cut& cut, int size, std::int64_t outer, std::int64_t inner,
                    std::size_t shared_memory) {
  const std::int64_t groups = outer * cut.parts * quotient_up(inner, cut.wide * size);
  const int threads = threads_for(groups, cut.group());
  return {static_cast<unsigned>(quotient_up(groups, threads / cut.group())), threads,
          shared_memory};
}

}  // namespace likely::kernels::cuda
