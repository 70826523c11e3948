// Reductions on CUDA. A group of threads works on one result in a row, or on adjacent results in
// columns. What a group does not finish in a few steps is cut into parts, and another launch
// reduces their values: a tree that depends on the reduced and inner extents alone.
#include "kernels/convert.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/reduce_proofs.h"
#include "kernels/reduce.h"

namespace likely::kernels {
namespace {

using namespace cuda;

Cut cut_of(int pack, std::int64_t reduced, std::int64_t inner) {
  if (inner > 1)
    return column_cut(pack, reduced, inner);
  Cut cut{};
  const std::int64_t packs = quotient_up(reduced, pack);
  cut.wide = 1;
  cut.deep = packs > depth * warp_size ? block_threads : power_of_two(packs, warp_size);
  cut.part = std::int64_t{depth} * cut.deep * pack;
  cut.parts = std::max<std::int64_t>(quotient_up(reduced, cut.part), 1);
  return cut;
}

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

template <class Joined, class S, class T>
struct Task {
  using Op = Joined;
  using Value = typename Op::Value;
  static constexpr int size = Pack<S>::size, at_once = 4;

  Cut cut;
  const S* x;
  std::int64_t outer, reduced, inner;
  bool aligned;    // packs of x begin at multiples of 16 bytes
  Value* partial;  // [outer, parts, inner], where another launch follows
  T* out;          // [outer, inner]
  bool mean, add;
  std::int64_t count;  // of elements reduced, by all launches

  LIKELY_DEVICE const Task& of(const Share&) const { return *this; }
  LIKELY_DEVICE Pack<S> load(std::int64_t at, std::int64_t left) const {
    return load_some(x + at, left, aligned);
  }
  LIKELY_DEVICE Value value(const Pack<S>& pack, int k, std::int64_t at) const {
    return value_of<Value>(pack.value[k], at);
  }
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
  const auto left = [&](int i) { return active ? end - first - i * step : 0; };
  const auto at = [&](int i) { return row * task.reduced + first + i * step; };
  take<Op, Task<Op, S, T>::at_once>(
      value, left, [&](int i) { return task.load(at(i), left(i)); },
      [&](const Pack<S>& pack, int i, int k) { return task.value(pack, k, first + i * step + k); });
  Value one[1] = {fold<Op>(value)};
  join<Op>(one, 1, group, shared<Warps<Value, 1>>());
  if (lane == 0 && active)
    task.put(index, one[0]);
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
  using Value = typename Op::Value;
  const auto grid = [&](int size, std::size_t shared_memory) {
    return grid_of(cut, size, problem.outer, problem.inner, shared_memory);
  };
  if (row)
    launch(variant, rows<Op, S, T>, grid(1, sizeof(Warps<Value, 1>)), task);
  else
    launch(variant, columns<Task<Op, S, T>>,
           grid(Pack<S>::size, sizeof(Warps<Value, Pack<S>::size>)), task);
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
    using A = Computed<T>;
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
