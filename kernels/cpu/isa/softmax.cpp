// Softmax by rows: the maximum, the exponentials in pieces that stay in the first cache, their sum.
#include "kernels/cpu/isa/softmax.h"

#include "kernels/cpu/isa/lanes.h"
#include "kernels/cpu/isa/random.h"
#include "kernels/math.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

enum class Kind { softmax, log_softmax, log_sum_exp };

constexpr std::int64_t piece = 8 * reduce_block;  // a power of two of blocks (isa/reduce.h)

// buffer = e^(x - shift). The rest of a vector is filled up, because one number costs as much.
template <class S, class A>
void exponentials(const S* x, std::int64_t count, A shift, A* buffer) {
  constexpr std::int64_t width = sizeof(A) == 8 ? 1 : lanes;  // exp of double is the C library's
  const std::int64_t whole = count / width * width;
#pragma omp simd
  for (std::int64_t i = 0; i < whole; ++i)
    buffer[i] = exp(widened(x[i]) - shift);
  if (whole == count)
    return;
  A rest[width] = {};
  for (std::int64_t i = whole; i < count; ++i)
    rest[i - whole] = widened(x[i]) - shift;
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i)
    buffer[whole + i] = exp(rest[i]);
}

// Calls f(first, count) for the pieces of a row.
template <class F>
void for_each_piece(std::int64_t columns, F f) {
  for (std::int64_t at = 0; at < columns; at += piece)
    f(at, columns - at < piece ? columns - at : piece);
}

// What is subtracted from a row, and the sum of e^(x - shift). The buffer holds the exponentials of
// the last piece.
template <class A>
struct Total {
  A shift, sum;
};
template <Kind kind, class S, class A>
Total<A> total_of(const S* x, std::int64_t columns, A* buffer) {
  const A max = reduce_adjacent<A, Max>(x, columns);
  const bool finite = abs(max) < A(__builtin_inf());
  const A shift = kind == Kind::log_sum_exp && !finite ? A(0) : max;
  Counter<A, Sum, 1> sums(1);
  for_each_piece(columns, [&](std::int64_t at, std::int64_t count) {
    exponentials(x + at, count, shift, buffer);
    const A sum = reduce_adjacent<A, Sum>(buffer, count);
    sums.push(&sum);
  });
  A sum;
  sums.finish(&sum);
  return {shift, sum};
}

template <Kind kind, class S, class A>
void one_row(const S* x, std::int64_t columns, S* out) {
  alignas(64) A buffer[piece];
  const auto [shift, sum] = total_of<kind>(x, columns, buffer);
  if constexpr (kind == Kind::softmax) {
    for_each_piece(columns, [&, shift = shift, sum = sum](std::int64_t at, std::int64_t count) {
      if (columns > piece)
        exponentials(x + at, count, shift, buffer);
      for (std::int64_t i = 0; i < count; ++i)
        out[at + i] = narrowed<S>(buffer[i] / sum);
    });
  } else if constexpr (kind == Kind::log_softmax) {
    const A log_sum = log(sum);
    for (std::int64_t i = 0; i < columns; ++i)
      out[i] = narrowed<S>((widened(x[i]) - shift) - log_sum);
  } else {
    *out = narrowed<S>(shift + log(sum));
  }
}

template <Kind kind, class S, class A>
void rows_of(const S* x, std::int64_t rows, std::int64_t columns, S* out) {
  for (std::int64_t r = 0; r < rows; ++r)
    one_row<kind, S, A>(x + r * columns, columns,
                        out + (kind == Kind::log_sum_exp ? r : r * columns));
}

template <class S, class A>
void log_prob(const S* x, std::int64_t rows, std::int64_t columns, const std::int64_t* index,
              S* out, A* log_sum_exp) {
  alignas(64) A buffer[piece];
  for (std::int64_t r = 0; r < rows; ++r, x += columns) {
    const auto [shift, sum] = total_of<Kind::log_softmax>(x, columns, buffer);
    const A log_sum = log(sum);
    const bool within = index[r] >= 0 && index[r] < columns;
    log_sum_exp[r] = shift + log_sum;
    out[r] = narrowed<S>(within ? (widened(x[index[r]]) - shift) - log_sum : A(__builtin_nan("")));
  }
}

template <class S, class A>
void log_prob_gradient(const S* g, const S* x, std::int64_t rows, std::int64_t columns,
                       const std::int64_t* index, const A* log_sum_exp, S* out) {
  alignas(64) A buffer[piece];
  for (std::int64_t r = 0; r < rows; ++r, x += columns, out += columns) {
    const A of_row = widened(g[r]);
    for_each_piece(columns, [&](std::int64_t at, std::int64_t count) {
      exponentials(x + at, count, log_sum_exp[r], buffer);
      for (std::int64_t i = 0; i < count; ++i)
        out[at + i] = narrowed<S>(-buffer[i] * of_row);
      if (const std::int64_t i = index[r] - at; i >= 0 && i < count)
        out[at + i] = narrowed<S>((1 - buffer[i]) * of_row);
    });
  }
}

// The noise is made in whole batches, from the one in which the first element lies.
template <class S, class A>
void sample(const S* x, std::int64_t first, std::int64_t end, std::int64_t columns,
            const PhiloxStream& stream, std::int64_t* out) {
  float uniform[random_batch];
  A noise[random_batch];
  std::int64_t made = -1;
  for (std::int64_t r = first; r < end; ++r) {
    A largest = A(-__builtin_inf());
    std::int64_t found = 0;
    for (std::int64_t c = 0; c < columns;) {
      const std::int64_t at = r * columns + c, batch = at / random_batch, i = at % random_batch;
      if (batch != made) {
        random_table.uniform(stream, batch, uniform);
        for (std::int64_t k = 0; k < random_batch; ++k)
          noise[k] = -log(-log(A(uniform[k])));
        made = batch;
      }
      const std::int64_t left = columns - c,
                         count = random_batch - i < left ? random_batch - i : left;
      for (std::int64_t k = 0; k < count; ++k) {
        const A value = widened(x[at + k]) + noise[i + k];
        if (value > largest) {
          largest = value;
          found = c + k;
        }
      }
      c += count;
    }
    out[r] = found;
  }
}

template <class S, class A>
constexpr SoftmaxLoops<S, A> loops{
    rows_of<Kind::softmax, S, A>,     rows_of<Kind::log_softmax, S, A>,
    rows_of<Kind::log_sum_exp, S, A>, log_prob<S, A>,
    log_prob_gradient<S, A>,          sample<S, A>};

}  // namespace

const SoftmaxTable softmax_table{loops<float, float>, loops<double, double>,
                                 loops<std::uint16_t, float>};

}  // namespace likely::kernels::LIKELY_ISA
