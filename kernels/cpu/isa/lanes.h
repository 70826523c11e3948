// Sixteen lanes on every instruction set, and the tree of a reduction over them (isa/reduce.h):
// what the loops of reductions and softmax share.
#pragma once
#include <immintrin.h>

#include "kernels/cpu/isa/reduce.h"

#pragma GCC diagnostic ignored "-Wpsabi"  // vectors never leave this file

namespace likely::kernels::LIKELY_ISA {
namespace {

#ifdef __AVX512F__
constexpr int register_bytes = 64;
#else
constexpr int register_bytes = 32;
#endif
constexpr int lanes = 16;
constexpr int levels = 40;  // pairs of pairs of … blocks: 2^40 of them

template <class T, int count>
using Vector [[gnu::vector_size(sizeof(T) * count)]] = T;

// For numbers and vectors of them. The start leaves every value as it is, -0 too.
struct Sum {
  static constexpr double start = -0.0;
  template <class V>
  V operator()(V a, V b) const {
    return a + b;
  }
};
struct Max {  // NaN wins
  static constexpr double start = -__builtin_inf();
  template <class V>
  V operator()(V a, V b) const {
    return ((a < b) | (b != b)) ? b : a;
  }
};

inline float widened(float x) { return x; }
inline double widened(double x) { return x; }
inline float widened(std::uint16_t bf16) {
  return __builtin_bit_cast(float, std::uint32_t{bf16} << 16);
}

template <class S>
auto narrowed(auto x) {  // to bf16: nearest even
  if constexpr (sizeof(S) == 2) {
    const auto bits = __builtin_bit_cast(std::uint32_t, x);
    return static_cast<S>((x != x ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  } else {
    return x;
  }
}

// One number a lane, in as many registers as that takes.
template <class A>
struct Lanes {
  static constexpr int width = register_bytes / sizeof(A), parts = lanes / width;
  Vector<A, width> part[parts];

  explicit Lanes(double all) {
    for (auto& p : part)
      p = Vector<A, width>{} + A(all);
  }
  template <class Op>
  void take(const A* x, Op op) {
    for (auto& p : part) {
      Vector<A, width> v;
      __builtin_memcpy(&v, x, sizeof v);
      p = op(p, v);
      x += width;
    }
  }
  template <class Op>
  void take(const std::uint16_t* x, Op op) {
    for (auto& p : part) {
      Vector<std::uint16_t, width> v;
      __builtin_memcpy(&v, x, sizeof v);
      p = op(p, __builtin_bit_cast(Vector<A, width>,
                                   __builtin_convertvector(v, Vector<std::uint32_t, width>) << 16));
      x += width;
    }
  }
  // Fewer than 16 elements, into the first lanes.
  template <class S, class Op>
  void take_first(const S* x, std::int64_t count, Op op) {
#ifdef __AVX512F__
    if constexpr (sizeof(S) == 4) {
      part[0] = op(part[0], Vector<A, width>(_mm512_mask_loadu_ps(_mm512_set1_ps(float(Op::start)),
                                                                  (1u << count) - 1, x)));
      return;
    }
#endif
    A rest[lanes];
    for (int l = 0; l < lanes; ++l)
      rest[l] = l < count ? A(widened(x[l])) : A(Op::start);
    take(rest, op);
  }
  template <class Op>
  A fold(Op op) const {
    A all[lanes];
    __builtin_memcpy(all, part, sizeof all);
    for (int half = lanes / 2; half > 0; half /= 2)
      for (int l = 0; l < half; ++l)
        all[l] = op(all[l], all[l + half]);
    return all[0];
  }
};

// A block of up to 512 adjacent elements.
template <class A, class S, class Op>
A adjacent_block(const S* x, std::int64_t rows, Op op) {
  Lanes<A> sum(Op::start);
  for (; rows >= lanes; rows -= lanes, x += lanes)
    sum.take(x, op);
  if (rows > 0)
    sum.take_first(x, rows, op);
  return sum.fold(op);
}

// Several whole blocks side by side, because one chain of additions waits for itself.
template <class A, class S, class Op>
void four_adjacent_blocks(const S* x, A* sums, Op op) {
  Lanes<A> sum[4]{Lanes<A>(Op::start), Lanes<A>(Op::start), Lanes<A>(Op::start),
                  Lanes<A>(Op::start)};
  for (std::int64_t r = 0; r < reduce_block; r += lanes)
    for (int b = 0; b < 4; ++b)
      sum[b].take(x + b * reduce_block + r, op);
  for (int b = 0; b < 4; ++b)
    sums[b] = sum[b].fold(op);
}

// Joins sums of equal powers of two as a binary counter: level k holds the sum of 2^k terms.
template <class A, class Op, int width>
class Counter {
 public:
  explicit Counter(std::int64_t columns) : columns_(width == 1 ? 1 : columns) {}

  void push(const A* sum) {
    int k = 0;
    for (; count_ >> k & 1; ++k) {
      for (std::int64_t c = 0; c < columns_; ++c)
        level_[k][c] = Op()(level_[k][c], sum[c]);
      sum = level_[k];
    }
    for (std::int64_t c = 0; c < columns_; ++c)
      level_[k][c] = sum[c];
    ++count_;
  }

  void finish(A* out) const {
    int k = __builtin_ctzll(count_);
    for (std::int64_t c = 0; c < columns_; ++c)
      out[c] = level_[k][c];
    while (count_ >> ++k)
      if (count_ >> k & 1)
        for (std::int64_t c = 0; c < columns_; ++c)
          out[c] = Op()(level_[k][c], out[c]);
  }

 private:
  A level_[levels][width];
  std::uint64_t count_ = 0;
  std::int64_t columns_;
};

template <class A, class Op, class S>
A reduce_adjacent(const S* x, std::int64_t rows) {
  if (rows <= reduce_block)
    return adjacent_block<A>(x, rows, Op());
  Counter<A, Op, 1> counter(1);
  for (; rows >= 4 * reduce_block; rows -= 4 * reduce_block, x += 4 * reduce_block) {
    A sums[4];
    four_adjacent_blocks(x, sums, Op());
    for (const A& sum : sums)
      counter.push(&sum);
  }
  for (; rows > 0; rows -= reduce_block, x += reduce_block) {
    const A sum = adjacent_block<A>(x, rows < reduce_block ? rows : reduce_block, Op());
    counter.push(&sum);
  }
  A result;
  counter.finish(&result);
  return result;
}

}  // namespace
}  // namespace likely::kernels::LIKELY_ISA
