// Reductions with 16 lanes on every instruction set, so that none changes a bit.
#include "kernels/cpu/isa/reduce.h"

#include "kernels/cpu/isa/lanes.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

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
