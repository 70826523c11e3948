// Reductions with 16 lanes on every instruction set, so that none changes a bit.
#include "kernels/cpu/isa/reduce.h"

#include <immintrin.h>

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

float widened(float x) { return x; }
double widened(double x) { return x; }
float widened(std::uint16_t bf16) { return __builtin_bit_cast(float, std::uint32_t{bf16} << 16); }

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

// A block of up to 512 rows of several columns; the result is the first row of `sum`.
template <class A, class S, class Op>
void block_of_columns(const S* x, std::int64_t rows, std::int64_t stride, std::int64_t columns,
                      A* sum, Op op) {
  const std::int64_t used = rows < lanes ? rows : lanes;
  for (std::int64_t r = 0; r < used; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      sum[r * columns + c] = widened(x[r * stride + c]);
  for (std::int64_t r = lanes; r < rows; r += lanes) {
    const std::int64_t here = rows - r < lanes ? rows - r : lanes;
    if (stride == columns)
      for (std::int64_t i = 0; i < here * columns; ++i)
        sum[i] = op(sum[i], A(widened(x[r * stride + i])));
    else
      for (std::int64_t l = 0; l < here; ++l)
        for (std::int64_t c = 0; c < columns; ++c)
          sum[l * columns + c] = op(sum[l * columns + c], A(widened(x[(r + l) * stride + c])));
  }
  std::int64_t left = used;
  for (std::int64_t half = lanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < (left - half) * columns; ++i)
      sum[i] = op(sum[i], sum[half * columns + i]);
    left = left < half ? left : half;
  }
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

template <class A, class Op, class S>
void reduce_columns_of(const S* x, std::int64_t rows, std::int64_t stride, std::int64_t columns,
                       A* out) {
  Counter<A, Op, reduce_columns> counter(columns);
  alignas(64) A sum[lanes * reduce_columns];
  for (std::int64_t r = 0; r < rows; r += reduce_block) {
    block_of_columns(x + r * stride, rows - r < reduce_block ? rows - r : reduce_block, stride,
                     columns, sum, Op());
    counter.push(sum);
  }
  counter.finish(out);
}

template <class A, class Op, class S>
void reduce_with(const S* x, std::int64_t outer, std::int64_t rows, std::int64_t stride,
                 std::int64_t columns, A* out) {
  for (std::int64_t o = 0; o < outer; ++o, x += rows * stride, out += columns)
    if (columns == 1 && stride == 1)
      *out = reduce_adjacent<A, Op>(x, rows);
    else
      reduce_columns_of<A, Op>(x, rows, stride, columns, out);
}

template <class S, class A>
void reduce(bool max, const S* x, std::int64_t outer, std::int64_t rows, std::int64_t stride,
            std::int64_t columns, A* out) {
  max ? reduce_with<A, Max>(x, outer, rows, stride, columns, out)
      : reduce_with<A, Sum>(x, outer, rows, stride, columns, out);
}

template <class A, class Op>
void combine_with(const A* sums, std::int64_t count, std::int64_t columns, A* out) {
  Counter<A, Op, reduce_columns> counter(columns);
  for (std::int64_t i = 0; i < count; ++i)
    counter.push(sums + i * columns);
  counter.finish(out);
}

template <class A>
void combine(bool max, const A* sums, std::int64_t count, std::int64_t columns, A* out) {
  max ? combine_with<A, Max>(sums, count, columns, out)
      : combine_with<A, Sum>(sums, count, columns, out);
}

}  // namespace

const ReduceTable reduce_table{{reduce<float, float>, combine<float>},
                               {reduce<double, double>, combine<double>},
                               {reduce<std::uint16_t, float>, combine<float>}};

}  // namespace likely::kernels::LIKELY_ISA
