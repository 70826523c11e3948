// Reductions on CUDA. A group of threads works on one result in a row, or on adjacent results in
// columns. What a group does not finish in a few steps is cut into parts, and another launch
// reduces their values: a tree that depends on the reduced and inner extents alone.
#include <algorithm>
#include <bit>

#include "kernels/cuda/device.h"
#include "kernels/cuda/lanes.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce_proofs.h"
#include "kernels/reduce.h"

namespace likely::kernels {
namespace {

using namespace cuda;

constexpr int at_once = 4;  // loads of a thread that are under way together
constexpr int depth = 16;   // packs of a thread

// How groups share [outer, reduced, inner] out: `wide` threads beside each other along inner (1 in
// a row), `deep` along the reduced extent, both powers of two.
struct Cut {
  int wide, deep;
  std::int64_t part, parts;  // of the reduced extent, a group each
  LIKELY_HD int group() const { return wide * deep; }
};

int power_of_two(std::int64_t at_least, int at_most) {
  const auto power = std::bit_ceil(static_cast<std::uint64_t>(at_least));
  return static_cast<int>(std::min(power, static_cast<std::uint64_t>(at_most)));
}

Cut cut_of(int pack, std::int64_t reduced, std::int64_t inner) {
  Cut cut{};
  if (inner == 1) {
    const std::int64_t packs = quotient_up(reduced, pack);
    cut.wide = 1;
    cut.deep = packs > depth * warp_size ? block_threads : power_of_two(packs, warp_size);
    cut.part = std::int64_t{depth} * cut.deep * pack;
  } else {
    cut.wide = power_of_two(quotient_up(inner, pack), warp_size);
    cut.deep = power_of_two(quotient_up(reduced, depth), block_threads / cut.wide);
    cut.part = std::int64_t{depth} * cut.deep;
  }
  cut.parts = std::max<std::int64_t>(quotient_up(reduced, cut.part), 1);
  return cut;
}

// A value and where it is.
template <class A>
struct Place {
  A value;
  std::int64_t at;
};
template <class A>
LIKELY_DEVICE Place<A> across(const Place<A>& x, int bit) {
  return {cuda::across(x.value, bit), __shfl_xor_sync(all_lanes, x.at, bit)};
}
template <class A>
struct Largest {  // the first of them; NaN is larger than all
  using Value = Place<A>;
  LIKELY_DEVICE static Value start() { return {A(-__builtin_inf()), INT64_MAX}; }
  LIKELY_DEVICE static Value join(const Value& a, const Value& b) {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    const bool same = a.value == b.value || (a_nan && b_nan);
    return (same ? b.at < a.at : b_nan || a.value < b.value) ? b : a;
  }
};

// Of an element, or of a part that the launch before has reduced.
template <class Value, class S>
LIKELY_DEVICE Value value_of(const S& x, std::int64_t at) {
  if constexpr (std::is_same_v<Value, S>)
    return x;
  else if constexpr (std::is_arithmetic_v<Value>)
    return static_cast<Value>(x);
  else
    return {static_cast<decltype(Value::value)>(x), at};
}

template <class Op, class S, class T>
struct Task {
  using Value = typename Op::Value;

  Cut cut;
  const S* x;
  std::int64_t outer, reduced, inner;
  bool aligned;    // packs of x begin at multiples of 16 bytes
  Value* partial;  // [outer, parts, inner], where another launch follows
  T* out;          // [outer, inner]
  bool mean, add;
  std::int64_t count;  // of elements reduced, by all launches

  LIKELY_DEVICE void put(std::int64_t index, const Value& value) const {
    if (partial) {
      partial[index] = value;
    } else if constexpr (!std::is_arithmetic_v<Value>) {
      out[index] = value.at;
    } else {
      Value result = count == 0 ? Value(0) : value;
      if (mean)
        result /= static_cast<Value>(count);
      if (add)
        result += static_cast<Value>(out[index]);
      out[index] = T(result);
    }
  }
};

// Joins a thread's packs, `step` elements from one to the next: of pack i the first left(i)
// elements, k of them being number at(i, k), to value[k].
template <class Op, class S, int size, class Left, class At>
LIKELY_DEVICE void take(typename Op::Value (&value)[size], const S* x, std::int64_t step,
                        bool aligned, Left left, At at) {
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    value[k] = Op::start();
  for (int i = 0; i < depth && left(i) > 0; i += at_once) {
    Pack<S> pack[at_once];
    LIKELY_UNROLL
    for (int j = 0; j < at_once; ++j)
      pack[j] = load_some(x + (i + j) * step, left(i + j), aligned);
    LIKELY_UNROLL
    for (int j = 0; j < at_once; ++j) {
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k)
        if (k < left(i + j))
          value[k] =
              Op::join(value[k], value_of<typename Op::Value>(pack[j].value[k], at(i + j, k)));
    }
  }
}

// inner = 1: the threads of a group lie beside each other along a row.
template <class Op, class S, class T>
__global__ void __launch_bounds__(block_threads, 2) rows(Task<Op, S, T> task) {
  using Value = typename Op::Value;
  constexpr int size = Pack<S>::size;
  const Cut& cut = task.cut;
  const int group = cut.group(), lane = static_cast<int>(threadIdx.x) % group;
  const std::int64_t index = std::int64_t{blockIdx.x} * (blockDim.x / group) + threadIdx.x / group;
  const std::int64_t row = index / cut.parts, part = index % cut.parts;
  const bool active = row < task.outer;
  const std::int64_t first = part * cut.part + lane * size, step = std::int64_t{group} * size;
  const std::int64_t end = part == cut.parts - 1 ? task.reduced : (part + 1) * cut.part;

  Value value[size];
  take<Op>(
      value, task.x + row * task.reduced + first, step, task.aligned,
      [&](int i) { return active ? end - first - i * step : 0; },
      [&](int i, int k) { return first + i * step + k; });
  Value one[1] = {fold<Op>(value)};
  join<Op>(one, 1, group, shared<Warps<Value, 1>>());
  if (lane == 0 && active)
    task.put(index, one[0]);
}

// The threads of a group with the same columns take every deep-th row of them.
template <class Op, class S, class T>
__global__ void __launch_bounds__(block_threads, 2) columns(Task<Op, S, T> task) {
  using Value = typename Op::Value;
  constexpr int size = Pack<S>::size;
  const Cut& cut = task.cut;
  const int group = cut.group(), thread = static_cast<int>(threadIdx.x) % group;
  const std::int64_t index = std::int64_t{blockIdx.x} * (blockDim.x / group) + threadIdx.x / group;
  const std::int64_t panels = (task.inner - 1) / (cut.wide * size) + 1;
  const std::int64_t line = index / panels;  // of [outer, parts]
  const std::int64_t outer = line / cut.parts, part = line % cut.parts;
  const std::int64_t column = (index % panels * cut.wide + thread % cut.wide) * size;
  const std::int64_t left = outer < task.outer ? task.inner - column : 0;
  const std::int64_t first = part * cut.part + thread / cut.wide;
  const std::int64_t end = part == cut.parts - 1 ? task.reduced : (part + 1) * cut.part;

  Value value[size];
  take<Op>(
      value, task.x + (outer * task.reduced + first) * task.inner + column, cut.deep * task.inner,
      task.aligned, [&](int i) { return first + i * cut.deep < end ? left : 0; },
      [&](int i, int) { return first + i * cut.deep; });
  join<Op>(value, cut.wide, group, shared<Warps<Value, size>>());
  if (thread >= cut.wide)
    return;
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    if (k < left)
      task.put(line * task.inner + column + k, value[k]);
}

template <class T, bool position>
const Variant& variant_for(const ReduceProblem& problem) {
  using All = ReduceVariants<T, position>;
  const Cut cut = cut_of(Pack<T>::size, problem.reduced, problem.inner);
  if (problem.reduced == 0)
    return ReduceVariants<T, false>::nothing;
  if (problem.inner > 1)
    return cut.parts > 1 ? All::split_columns : All::columns;
  return cut.parts > 1 ? All::split_rows : cut.group() > warp_size ? All::long_rows : All::rows;
}

// Launches until there is one part. `partial` is where the parts' values go.
template <class Op, class T, class S>
void launch_on(const Variant& variant, const ReduceProblem& problem, const S* x,
               std::int64_t reduced, typename Op::Value* partial) {
  const Cut cut = cut_of(Pack<S>::size, reduced, problem.inner);
  const bool row = problem.inner == 1;
  const std::int64_t lines = row ? problem.outer : problem.outer * reduced;
  const Task<Op, S, T> task{
      .cut = cut,
      .x = x,
      .outer = problem.outer,
      .reduced = reduced,
      .inner = problem.inner,
      .aligned =
          aligned16(x) && (lines == 1 || (row ? reduced : problem.inner) % Pack<S>::size == 0),
      .partial = cut.parts > 1 ? partial : nullptr,
      .out = static_cast<T*>(problem.out),
      .mean = problem.how == Reduction::mean,
      .add = problem.add,
      .count = problem.reduced};
  const std::int64_t panels = row ? 1 : quotient_up(problem.inner, cut.wide * Pack<S>::size);
  const std::int64_t groups = problem.outer * cut.parts * panels;
  const int threads = threads_for(groups, cut.group());
  const auto blocks = static_cast<unsigned>(quotient_up(groups, threads / cut.group()));
  using Value = typename Op::Value;
  if (row)
    launch(variant, rows<Op, S, T>, {blocks, threads, sizeof(Warps<Value, 1>)}, task);
  else
    launch(variant, columns<Op, S, T>, {blocks, threads, sizeof(Warps<Value, Pack<S>::size>)},
           task);
  if (cut.parts > 1)
    launch_on<Op, T>(variant, problem, static_cast<const Value*>(partial), cut.parts,
                     partial + problem.outer * cut.parts * problem.inner);
}

template <class Op, class T, class S>
void reduce_with(const ReduceProblem& problem, void* workspace) {
  launch_on<Op, T>(variant_for<S, std::is_same_v<T, std::int64_t>>(problem), problem,
                   static_cast<const S*>(problem.x), problem.reduced,
                   static_cast<typename Op::Value*>(workspace));
}

void fill(const ReduceProblem& problem, void* workspace) {
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    using A = std::conditional_t<std::is_same_v<T, bf16>, float, T>;
    if constexpr (!is_floating(dtype_of<T>))
      return;
    else if (problem.position)
      reduce_with<Largest<A>, std::int64_t, T>(problem, workspace);
    else if (problem.how == Reduction::max)
      reduce_with<Max<A>, T, T>(problem, workspace);
    else
      reduce_with<Sum<A>, T, T>(problem, workspace);
  });
}

std::size_t workspace(const ReduceProblem& problem) {
  const int element = static_cast<int>(size_of(problem.dtype));
  const int value = problem.position ? sizeof(Place<double>) : std::max(element, 4);
  std::int64_t values = 0;
  Cut cut = cut_of(16 / element, problem.reduced, problem.inner);
  for (; cut.parts > 1; cut = cut_of(16 / value, cut.parts, problem.inner))
    values += problem.outer * cut.parts * problem.inner;
  return static_cast<std::size_t>(values * value);
}

const Registered<ReduceBackend> registered(reduce_family(), Device::cuda, Source::own,
                                           {"reduce", workspace, fill});

}  // namespace
}  // namespace likely::kernels
