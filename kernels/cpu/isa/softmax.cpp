// Softmax by rows: the maximum, the exponentials in pieces that stay in the first cache, their sum.
#include "kernels/cpu/isa/softmax.h"

#include "kernels/cpu/isa/lanes.h"
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

template <Kind kind, class S, class A>
void one_row(const S* x, std::int64_t columns, S* out) {
  const A max = reduce_adjacent<A, Max>(x, columns);
  const bool finite = abs(max) < A(__builtin_inf());
  const A shift = kind == Kind::log_sum_exp && !finite ? A(0) : max;
  alignas(64) A buffer[piece];
  Counter<A, Sum, 1> sums(1);
  const auto pieces = [&](auto f) {
    for (std::int64_t at = 0; at < columns; at += piece)
      f(at, columns - at < piece ? columns - at : piece);
  };
  pieces([&](std::int64_t at, std::int64_t count) {
    exponentials(x + at, count, shift, buffer);
    const A sum = reduce_adjacent<A, Sum>(buffer, count);
    sums.push(&sum);
  });
  A sum;
  sums.finish(&sum);
  if constexpr (kind == Kind::softmax) {
    pieces([&](std::int64_t at, std::int64_t count) {
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
constexpr SoftmaxLoops<S> loops{rows_of<Kind::softmax, S, A>, rows_of<Kind::log_softmax, S, A>,
                                rows_of<Kind::log_sum_exp, S, A>};

}  // namespace

const SoftmaxTable softmax_table{loops<float, float>, loops<double, double>,
                                 loops<std::uint16_t, float>};

}  // namespace likely::kernels::LIKELY_ISA
