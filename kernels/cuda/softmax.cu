// Softmax, its logarithm, log-sum-exp and the likelihood of a class on CUDA: a row belongs to as
// many lanes of a warp as it has packs, or to a block. Up to 8192 columns it stays in registers;
// beyond, it is read again.
#include <algorithm>
#include <bit>

#include "kernels/convert.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/lanes.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/softmax_proofs.h"
#include "kernels/math.h"
#include "kernels/random_numbers.h"
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
  T* out;                     // [count, columns], or [count] for log_sum_exp and log_prob
  bool aligned;               // packs of both begin at multiples of 16 bytes
  const std::int64_t* index;  // of log_prob
  A* log_sum_exp;             // of log_prob

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

  LIKELY_DEVICE bool is_number() const {
    return kind == SoftmaxKind::log_sum_exp || kind == SoftmaxKind::log_prob;
  }
  // A number a row, by one thread.
  LIKELY_DEVICE void store_number(std::int64_t row, A shift, A log_total) const {
    if (kind == SoftmaxKind::log_sum_exp) {
      out[row] = T(shift + log_total);
      return;
    }
    const std::int64_t at = index[row];
    const bool within = at >= 0 && at < columns;
    log_sum_exp[row] = shift + log_total;
    out[row] = within ? T((static_cast<A>(x[row * columns + at]) - shift) - log_total)
                      : T(A(__builtin_nan("")));
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
  if (rows.is_number()) {
    if (lane == 0 && columns > 0)
      rows.store_number(row, shift, log(total));
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
  if (rows.is_number()) {
    if (threadIdx.x == 0)
      rows.store_number(row, shift, log_total);
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

struct LogProbGradient {
  std::int64_t count, columns;  // of rows
  const void *g, *logits;
  const std::int64_t* index;
  const void* log_sum_exp;
  void* out;
};

// `width` elements of one row by a thread.
template <class T, int width>
__global__ void __launch_bounds__(block_threads) log_prob_gradients(LogProbGradient a) {
  using A = Computed<T>;
  const std::int64_t at = thread_number() * width;
  if (at >= a.count * a.columns)
    return;
  const auto row = static_cast<std::int64_t>(static_cast<std::uint64_t>(at) /
                                             static_cast<std::uint64_t>(a.columns));
  const std::int64_t found = a.index[row] - (at - row * a.columns);
  const A g = static_cast<A>(static_cast<const T*>(a.g)[row]),
          shift = static_cast<const A*>(a.log_sum_exp)[row];
  T pack[width];
  read(pack, static_cast<const T*>(a.logits) + at, 1, width);
  LIKELY_UNROLL
  for (int k = 0; k < width; ++k) {
    const A p = exp(static_cast<A>(pack[k]) - shift);
    pack[k] = T((found == k ? A(1) - p : -p) * g);
  }
  write(static_cast<T*>(a.out) + at, pack, width);
}

struct Draws {
  std::int64_t count, columns;  // of rows
  const void* logits;
  const StepState* state;
  std::uint32_t purpose, draw_index;
  std::int64_t* out;
};

// A group of lanes a row. Each takes whole Philox blocks of four words, of which the first and the
// last may be of other rows too.
template <class T>
__global__ void __launch_bounds__(block_threads) draw_classes(Draws a, int group) {
  using A = Computed<T>;
  const int lane = static_cast<int>(threadIdx.x) % group;
  const std::int64_t row = std::int64_t{blockIdx.x} * (blockDim.x / group) + threadIdx.x / group;
  const std::int64_t begin = row * a.columns, end = row < a.count ? begin + a.columns : begin;
  const PhiloxStream stream =
      philox_stream(a.state->seed, a.state->update, a.purpose, a.draw_index);
  Place<A> largest{A(-__builtin_inf()), 0};
  for (std::int64_t block = begin / 4 + lane; block * 4 < end; block += group) {
    const PhiloxBlock words =
        philox({{static_cast<std::uint32_t>(block), stream.index, stream.update, stream.purpose}},
               stream.key[0], stream.key[1]);
    LIKELY_UNROLL
    for (int k = 0; k < 4; ++k) {
      const std::int64_t at = block * 4 + k;
      if (at < begin || at >= end)
        continue;
      const A noise = -log(-log(static_cast<A>(uniform_from(words.word[k]))));
      const A value = static_cast<A>(static_cast<const T*>(a.logits)[at]) + noise;
      if (value > largest.value)
        largest = {value, at - begin};
    }
  }
  for (int bit = 1; bit < group; bit *= 2)
    largest = Largest<A>::join(largest, across(largest, bit));
  if (lane == 0 && row < a.count)
    a.out[row] = largest.at;
}

template <class T>
void fill_with(const SoftmaxProblem& problem) {
  using A = typename Rows<T>::A;
  const Rows<T> rows{.kind = problem.kind,
                     .count = problem.rows,
                     .columns = problem.columns,
                     .x = static_cast<const T*>(problem.x),
                     .out = static_cast<T*>(problem.out),
                     .aligned = aligned16(problem.x) && aligned16(problem.out) &&
                                (problem.rows == 1 || problem.columns % Rows<T>::size == 0),
                     .index = problem.index,
                     .log_sum_exp = static_cast<A*>(problem.log_sum_exp)};
  const bool warps = problem.columns <= most_of_warp;
  const Variant& held =
      warps ? SoftmaxVariants<T>::rows_of_warps : SoftmaxVariants<T>::rows_of_blocks;
  if (problem.columns > most_held || !held.usable())
    return launch(SoftmaxVariants<T>::rows_of_pieces, rows_read_again<T>,
                  {static_cast<unsigned>(problem.rows), block_threads, sizeof(Joins<A>)}, rows);
  const auto packs = static_cast<std::uint64_t>(quotient_up(problem.columns, Rows<T>::size));
  const int group = !warps ? block_threads
                    : packs < static_cast<std::uint64_t>(warp_size)
                        ? static_cast<int>(std::bit_ceil(packs))
                        : warp_size;
  const int threads = threads_for(problem.rows, group), together = threads / group;
  const auto blocks = static_cast<unsigned>(quotient_up(problem.rows, together));
  launch(held, rows_in_registers<T>, {blocks, threads, sizeof(Joins<A>)}, rows, group);
}

void fill(const SoftmaxProblem& problem) {
  with_floating(problem.dtype, [&]<class T>(Type<T>) { fill_with<T>(problem); });
}

void log_prob_gradient(const LogProbGradientProblem& problem) {
  with_floating(problem.dtype, [&]<class T>(Type<T>) {
    constexpr int width = Pack<T>::size;
    const LogProbGradient a{problem.rows,  problem.columns,     problem.g,  problem.logits,
                            problem.index, problem.log_sum_exp, problem.out};
    const std::int64_t count = problem.rows * problem.columns;
    if (SoftmaxVariants<T>::packed_gradients.usable() && problem.columns % width == 0 &&
        aligned16(problem.logits) && aligned16(problem.out))
      launch(SoftmaxVariants<T>::packed_gradients, log_prob_gradients<T, width>,
             threads_for(count / width), a);
    else
      launch(SoftmaxVariants<T>::elementwise_gradients, log_prob_gradients<T, 1>,
             threads_for(count), a);
  });
}

void sample(const CategoricalProblem& problem) {
  with_floating(problem.dtype, [&]<class T>(Type<T>) {
    const auto blocks = static_cast<std::uint64_t>(quotient_up(problem.columns + 3, 4));
    const int group =
        static_cast<int>(std::bit_ceil(std::min(blocks, static_cast<std::uint64_t>(warp_size))));
    const int threads = threads_for(problem.rows, group);
    launch(SoftmaxVariants<T>::draws, draw_classes<T>,
           {static_cast<unsigned>(quotient_up(problem.rows, threads / group)), threads},
           Draws{problem.rows, problem.columns, problem.logits,
                 static_cast<const StepState*>(problem.state), problem.purpose, problem.draw_index,
                 problem.out},
           group);
  });
}

const Registered<SoftmaxBackend> registered(softmax_family(), Device::cuda, Source::own,
                                            {"softmax", fill, log_prob_gradient, sample});

}  // namespace
}  // namespace likely::kernels
