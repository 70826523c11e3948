// Softmax, its logarithm and log-sum-exp on CUDA: a row belongs to as many lanes of a warp as it
// has packs, or to a block. Up to 8192 columns it stays in registers; beyond, it is read again.
#include <bit>

#include "kernels/convert.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lanes.h"
#include "kernels/cuda/launch.h"
#include "kernels/math.h"
#include "kernels/softmax.h"

namespace likely::kernels {
namespace {

using namespace cuda;

constexpr int held = 32;  // elements of a thread
constexpr int most_of_warp = held * warp_size, most_held = held * block_threads;

template <class T>
struct Rows {
  using A = Computed<T>;
  static constexpr int size = Pack<T>::size;

  SoftmaxKind kind;
  std::int64_t count, columns;
  const T* x;
  T* out;        // [count, columns], or [count] for log_sum_exp
  bool aligned;  // packs of both begin at multiples of 16 bytes

  // What stands beyond the row changes neither maximum nor sum.
  LIKELY_DEVICE void load(A (&value)[size], std::int64_t row, std::int64_t at) const {
    const Pack<T> pack = load_some(x + row * columns + at, columns - at, aligned);
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      value[k] = k < columns - at ? static_cast<A>(pack.value[k]) : Max<A>::start();
  }
  LIKELY_DEVICE void store(const A (&value)[size], std::int64_t row, std::int64_t at) const {
    Pack<T> pack;
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      pack.value[k] = T(value[k]);
    store_some(out + row * columns + at, pack, columns - at, aligned);
  }

  // What is added up is e^(x - shift). Log-sum-exp takes a row with an infinite maximum as it is;
  // the others make it NaN.
  LIKELY_DEVICE A shift(A max) const {
    const bool finite = abs(max) < A(__builtin_inf());
    return kind == SoftmaxKind::log_sum_exp && !finite ? A(0) : max;
  }
};

template <class A>
struct Joins {
  Warps<A, 1> max, sum;
};

// All values of a group.
template <class Op, class A, int size>
LIKELY_DEVICE A joined(A (&value)[size], int group, Warps<A, 1>& warps) {
  A one[1] = {fold<Op>(value)};
  join<Op>(one, 1, group, warps);
  return one[0];
}

template <class Op, class A, int size>
LIKELY_DEVICE void start(A (&value)[size]) {
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    value[k] = Op::start();
}

template <class T>
__global__ void __launch_bounds__(block_threads, 2) rows_in_registers(Rows<T> rows, int group) {
  using A = typename Rows<T>::A;
  constexpr int size = Rows<T>::size, packs = held / size;
  auto& joins = shared<Joins<A>>();
  const int lane = static_cast<int>(threadIdx.x) % group;
  const std::int64_t row = std::int64_t{blockIdx.x} * (blockDim.x / group) + threadIdx.x / group;
  const int columns = row < rows.count ? static_cast<int>(rows.columns) : 0;
  const auto at = [&](int i) { return (i * group + lane) * size; };

  A value[packs][size] = {}, max[size], sum[size];
  start<Max<A>>(max);
  start<Sum<A>>(sum);
  LIKELY_UNROLL
  for (int i = 0; i < packs; ++i)
    if (at(i) < columns) {
      rows.load(value[i], row, at(i));
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k)
        max[k] = Max<A>::join(max[k], value[i][k]);
    }
  const A shift = rows.shift(joined<Max<A>>(max, group, joins.max));
  LIKELY_UNROLL
  for (int i = 0; i < packs; ++i)
    if (at(i) < columns) {
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k) {
        value[i][k] -= shift;
        const A power = exp(value[i][k]);
        sum[k] += power;
        if (rows.kind == SoftmaxKind::softmax)
          value[i][k] = power;
      }
    }
  const A total = joined<Sum<A>>(sum, group, joins.sum);
  if (rows.kind == SoftmaxKind::log_sum_exp) {
    if (lane == 0 && columns > 0)
      rows.out[row] = T(shift + log(total));
    return;
  }
  const A log_total = rows.kind == SoftmaxKind::log_softmax ? log(total) : A(0);
  LIKELY_UNROLL
  for (int i = 0; i < packs; ++i)
    if (at(i) < columns) {
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k)
        value[i][k] =
            rows.kind == SoftmaxKind::softmax ? value[i][k] / total : value[i][k] - log_total;
      rows.store(value[i], row, at(i));
    }
}

// A block a row.
template <class T>
__global__ void __launch_bounds__(block_threads, 2) rows_read_again(Rows<T> rows) {
  using A = typename Rows<T>::A;
  constexpr int size = Rows<T>::size;
  constexpr std::int64_t step = block_threads * size, piece = block_threads * held;
  auto& joins = shared<Joins<A>>();
  const std::int64_t row = blockIdx.x, first = threadIdx.x * size;

  A value[size], max[size], sum[size];
  start<Max<A>>(max);
  start<Sum<A>>(sum);
  for (std::int64_t at = first; at < rows.columns; at += step) {
    rows.load(value, row, at);
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      max[k] = Max<A>::join(max[k], value[k]);
  }
  const A shift = rows.shift(joined<Max<A>>(max, block_threads, joins.max));
  for (std::int64_t begin = first; begin < rows.columns; begin += piece) {
    A part[size];  // so that no chain of additions is long
    start<Sum<A>>(part);
    for (std::int64_t at = begin; at < begin + piece && at < rows.columns; at += step) {
      rows.load(value, row, at);
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k)
        part[k] += exp(value[k] - shift);
    }
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      sum[k] += part[k];
  }
  const A total = joined<Sum<A>>(sum, block_threads, joins.sum), log_total = log(total);
  if (rows.kind == SoftmaxKind::log_sum_exp) {
    if (threadIdx.x == 0)
      rows.out[row] = T(shift + log_total);
    return;
  }
  for (std::int64_t at = first; at < rows.columns; at += step) {
    rows.load(value, row, at);
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      value[k] = rows.kind == SoftmaxKind::softmax ? exp(value[k] - shift) / total
                                                   : (value[k] - shift) - log_total;
    rows.store(value, row, at);
  }
}

Tensors all_of(const Tensor& x, int axis) {
  return {softmax(x, axis), log_softmax(x, axis), log_sum_exp(x, axis)};
}

template <class T>
Proof proof(const char* name, std::int64_t rows, std::int64_t columns) {
  return {name, bar_of(dtype_of<T>), [=](Inputs& in) {
            return all_of(in.normal({rows, columns}), 1);
          }};
}
template <class T>
Proof one_behind(std::int64_t rows, std::int64_t columns) {
  return {"one element behind", bar_of(dtype_of<T>), [=](Inputs& in) {
            return all_of(kernels::one_behind(in.normal({rows * columns + 1}), {rows, columns}), 1);
          }};
}
// Rows of so many columns whose maxima are far from 0, infinite or NaN.
template <class T>
Proof specials(std::int64_t columns) {
  return {"not numbers", bar_of(dtype_of<T>), [=](Inputs& in) {
            const double i = __builtin_inf(), n = __builtin_nan("");
            const double firsts[6][3] = {{1e3, 999, 0}, {-i, 0, 1},   {i, 0, -i},
                                         {n, 1, i},     {-i, -i, -i}, {-1e30, -1e30, -1e30}};
            std::vector<double> values;
            for (const auto& first : firsts)
              for (std::int64_t c = 0; c < columns; ++c)
                values.push_back(first[c * 3 / columns]);
            return all_of(in.of({6, columns}, values), 1);
          }};
}

template <class T>
const Variant rows_of_warps{"softmax",
                            "rows",
                            dtype_of<T>,
                            proof<T>("exact", 9, 1024),
                            proof<T>("ragged", 37, 1001),
                            proof<T>("few columns", 131, 3),
                            proof<T>("one column", 5, 1),
                            one_behind<T>(5, 40),
                            specials<T>(30)};
template <class T>
const Variant rows_of_blocks{"softmax",
                             "long rows",
                             dtype_of<T>,
                             proof<T>("exact", 2, 8192),
                             proof<T>("ragged", 3, 1027),
                             one_behind<T>(2, 2048),
                             specials<T>(1500)};
template <class T>
const Variant rows_of_pieces{"softmax",
                             "rows read again",
                             dtype_of<T>,
                             proof<T>("exact", 2, 16384),
                             proof<T>("ragged", 3, 20001),
                             one_behind<T>(2, 8200),
                             specials<T>(9000)};

template <class T>
void fill_with(const SoftmaxProblem& problem) {
  using A = typename Rows<T>::A;
  const Rows<T> rows{.kind = problem.kind,
                     .count = problem.rows,
                     .columns = problem.columns,
                     .x = static_cast<const T*>(problem.x),
                     .out = static_cast<T*>(problem.out),
                     .aligned = aligned16(problem.x) && aligned16(problem.out) &&
                                (problem.rows == 1 || problem.columns % Rows<T>::size == 0)};
  if (problem.columns > most_held)
    return launch(rows_of_pieces<T>, rows_read_again<T>,
                  {static_cast<unsigned>(problem.rows), block_threads, sizeof(Joins<A>)}, rows);
  const bool warps = problem.columns <= most_of_warp;
  const auto packs = static_cast<std::uint64_t>(quotient_up(problem.columns, Rows<T>::size));
  const int group = !warps ? block_threads
                    : packs < static_cast<std::uint64_t>(warp_size)
                        ? static_cast<int>(std::bit_ceil(packs))
                        : warp_size;
  const int threads = threads_for(problem.rows, group), together = threads / group;
  const auto blocks = static_cast<unsigned>(quotient_up(problem.rows, together));
  launch(warps ? rows_of_warps<T> : rows_of_blocks<T>, rows_in_registers<T>,
         {blocks, threads, sizeof(Joins<A>)}, rows, group);
}

void fill(const SoftmaxProblem& problem) {
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    if constexpr (is_floating(dtype_of<T>))
      fill_with<T>(problem);
  });
}

const Registered<SoftmaxBackend> registered(softmax_family(), Device::cuda, Source::own,
                                            {"softmax", fill});

}  // namespace
}  // namespace likely::kernels
