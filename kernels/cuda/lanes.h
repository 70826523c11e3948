// Threads of a block that work together: lines of elements in packs, the last of which may be
// ragged, and values joined in a tree.
#pragma once
#include <cstdint>

#include "kernels/cuda/device.h"

namespace likely::kernels::cuda {

// A pack of which the first `left` elements exist (none where that is not positive), by one access
// where packs are aligned and this one is whole.
template <class T>
LIKELY_DEVICE_SHARED Pack<T> load_some(const T* from, std::int64_t left, bool aligned) {
  if (aligned && left >= Pack<T>::size)
    return load16(from);
  Pack<T> pack{};
  LIKELY_UNROLL
  for (int k = 0; k < Pack<T>::size; ++k)
    if (k < left)
      pack.value[k] = from[k];
  return pack;
}
template <class T>
LIKELY_DEVICE_SHARED void store_some(T* to, const Pack<T>& pack, std::int64_t left, bool aligned) {
  if (aligned && left >= Pack<T>::size)
    return store16(to, pack);
  LIKELY_UNROLL
  for (int k = 0; k < Pack<T>::size; ++k)
    if (k < left)
      to[k] = pack.value[k];
}

// What is joined: a Value, where a join starts, and how two become one. The start leaves every
// value as it is, -0 too.
template <class A>
struct Sum {
  using Value = A;
  LIKELY_DEVICE static A start() { return A(-0.0); }
  LIKELY_DEVICE static A join(A a, A b) { return a + b; }
};
template <class A>
struct Max {  // NaN wins
  using Value = A;
  LIKELY_DEVICE static A start() { return A(-__builtin_inf()); }
  LIKELY_DEVICE static A join(A a, A b) { return a < b || b != b ? b : a; }
};

// The value of the lane whose number differs in this bit. Other types of Value bring their own.
LIKELY_DEVICE float across(float x, int bit) { return __shfl_xor_sync(all_lanes, x, bit); }
LIKELY_DEVICE double across(double x, int bit) { return __shfl_xor_sync(all_lanes, x, bit); }

// A value and where it is.
template <class A>
struct Place {
  A value;
  std::int64_t at;
};
template <class A>
LIKELY_DEVICE Place<A> across(const Place<A>& x, int bit) {
  return {across(x.value, bit), __shfl_xor_sync(all_lanes, x.at, bit)};
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

// All of one thread's values.
template <class Op, int size>
LIKELY_DEVICE typename Op::Value fold(typename Op::Value (&value)[size]) {
  LIKELY_UNROLL
  for (int half = size / 2; half > 0; half /= 2) {
    LIKELY_UNROLL
    for (int k = 0; k < half; ++k)
      value[k] = Op::join(value[k], value[k + half]);
  }
  return value[0];
}

// Shared memory for one join.
template <class Value, int size>
struct Warps {
  Value value[block_threads / warp_size][size][warp_size];
};

// Joins each value[k] over those threads of a group whose numbers are equal modulo `apart`; all of
// them get the result. Groups are powers of two of threads, apart ≤ 32 is one too. Every thread of
// the block takes part.
template <class Op, int size>
LIKELY_DEVICE_SHARED void join(typename Op::Value (&value)[size], int apart, int group,
                               Warps<typename Op::Value, size>& warps) {
  for (int bit = apart; bit < group && bit < warp_size; bit *= 2) {
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      value[k] = Op::join(value[k], across(value[k], bit));
  }
  if (group <= warp_size)
    return;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % warp_size;
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    warps.value[thread / warp_size][k][lane] = value[k];
  __syncthreads();
  const int first = thread / group * group / warp_size;
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k) {
    value[k] = warps.value[first][k][lane];
    for (int warp = 1; warp < group / warp_size; ++warp)
      value[k] = Op::join(value[k], warps.value[first + warp][k][lane]);
  }
}

// The threads of a block of groups: all it may have, or fewer where there are few groups.
inline int threads_for(std::int64_t groups, int group) {
  const std::int64_t needed = quotient_up(groups * group, warp_size) * warp_size;
  return needed < block_threads ? static_cast<int>(needed) : block_threads;
}

}  // namespace likely::kernels::cuda
