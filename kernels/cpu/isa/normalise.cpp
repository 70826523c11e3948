// Moments of channels, sums for their gradients, and the passes that write: in the same order on
// every instruction set.
#include "kernels/cpu/isa/normalise.h"

#include "kernels/cpu/isa/lanes.h"
#include "kernels/formulas.h"
#include "kernels/normalise_groups.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

constexpr std::int64_t widest = normalise_columns, widest_written = normalise_columns_written;

// Few channels are repeated to fill vectors: `rows` of `width` elements, and a last one of `rest`.
struct Wide {
  std::int64_t repeats = 1, width, rows, rest = 0, stride;

  Wide(std::int64_t rows_of_channels, std::int64_t step, std::int64_t columns)
      : width(columns), rows(rows_of_channels), stride(step) {
    if (step != columns)
      return;
    while (2 * repeats * columns <= widest)
      repeats *= 2;
    width = stride = repeats * columns;
    rows = rows_of_channels / repeats;
    rest = rows_of_channels % repeats * columns;
  }
};

// wide[i] = what(i % columns)
template <class A, class F>
void repeat(const Wide& wide, std::int64_t columns, A* to, F what) {
  for (std::int64_t c = 0; c < columns; ++c)
    to[c] = what(c);
  for (std::int64_t done = columns; done < wide.width; done *= 2)
    for (std::int64_t i = 0; i < done; ++i)
      to[done + i] = to[i];
}

// Adds up what repeated channels have; the result is in the first ones.
template <class A>
void fold(const Wide& wide, std::int64_t columns, A* sum) {
  for (std::int64_t half = wide.repeats / 2 * columns; half >= columns; half /= 2)
    for (std::int64_t i = 0; i < half; ++i)
      sum[i] += sum[half + i];
}

// Asks for `rows` rows from `x` on, which are read soon.
template <class S>
void prefetch(const S* x, std::int64_t rows, const Wide& wide) {
  constexpr std::int64_t line = 64 / sizeof(S);
  for (std::int64_t r = 0; r < rows; ++r, x += wide.stride)
    for (std::int64_t j = 0; j < wide.width; j += line)
      __builtin_prefetch(x + j);
}

// Calls four(j, first element, stride) for every column of every four rows, before which
// ahead(their first element) is called; one(j, element) for what is left.
template <class Ahead, class Four, class One>
void by_fours(const Wide& wide, Ahead ahead, Four four, One one) {
  std::int64_t r = 0;
  for (; r + 4 <= wide.rows; r += 4) {
    const std::int64_t at = r * wide.stride;
    ahead(at);
#pragma omp simd
    for (std::int64_t j = 0; j < wide.width; ++j)
      four(j, at + j);
  }
  for (; r < wide.rows; ++r)
    for (std::int64_t j = 0; j < wide.width; ++j)
      one(j, r * wide.stride + j);
  for (std::int64_t j = 0; j < wide.rest; ++j)
    one(j, wide.rows * wide.stride + j);
}

// sum[j] = Σ over rows of value(j, r · stride + j).
template <class A, class Ahead, class F>
void accumulate(const Wide& wide, A* sum, Ahead ahead, F value) {
  for (std::int64_t j = 0; j < wide.width; ++j)
    sum[j] = 0;
  const std::int64_t s = wide.stride;
  by_fours(
      wide, ahead,
      [=](std::int64_t j, std::int64_t i) {
        sum[j] += (value(j, i) + value(j, i + s)) + (value(j, i + 2 * s) + value(j, i + 3 * s));
      },
      [=](std::int64_t j, std::int64_t i) { sum[j] += value(j, i); });
}
// And weighted[j] = Σ of value times weight.
template <class A, class Ahead, class F, class G>
void accumulate(const Wide& wide, A* sum, A* weighted, Ahead ahead, F value, G weight) {
  for (std::int64_t j = 0; j < wide.width; ++j)
    sum[j] = weighted[j] = 0;
  const std::int64_t s = wide.stride;
  by_fours(
      wide, ahead,
      [=](std::int64_t j, std::int64_t i) {
        const A a = value(j, i), b = value(j, i + s), c = value(j, i + 2 * s),
                d = value(j, i + 3 * s);
        sum[j] += (a + b) + (c + d);
        weighted[j] += (a * weight(j, i) + b * weight(j, i + s)) +
                       (c * weight(j, i + 2 * s) + d * weight(j, i + 3 * s));
      },
      [=](std::int64_t j, std::int64_t i) {
        sum[j] += value(j, i);
        weighted[j] += value(j, i) * weight(j, i);
      });
}

// Two sums of `columns` channels over n rows. To join a into the earlier b:
struct AddPairs {
  template <class A>
  static void join(A* first, A* second, A, const A* later_first, const A* later_second, A,
                   std::int64_t columns) {
    for (std::int64_t c = 0; c < columns; ++c) {
      first[c] += later_first[c];
      second[c] += later_second[c];
    }
  }
};
// Mean and sum of squared deviations (Chan, Golub, LeVeque 1983, eq. 2.1).
struct MergeMoments {
  template <class A>
  static void join(A* mean, A* squares, A n, const A* later_mean, const A* later_squares, A later_n,
                   std::int64_t columns) {
    const A share = later_n / (n + later_n), weight = n * share;
    for (std::int64_t c = 0; c < columns; ++c) {
      const A apart = later_mean[c] - mean[c];
      mean[c] += apart * share;
      squares[c] += later_squares[c] + apart * apart * weight;
    }
  }
};

// Joins pairs of equal numbers of rows as a binary counter; the last may have fewer.
template <class A, class Join>
class PairCounter {
 public:
  explicit PairCounter(std::int64_t columns) : columns_(columns) {}

  // The pair in `at`, which is overwritten.
  void push(A (&at)[2][widest], std::int64_t rows) {
    int k = 0;
    for (; count_ >> k & 1; ++k) {
      join(k, at, rows);
      rows += rows_[k];
      copy(level_[k][0], level_[k][1], at);
    }
    copy(at[0], at[1], level_[k]);
    rows_[k] = rows;
    ++count_;
  }

  void finish(A* first, A* second) {
    int k = __builtin_ctzll(count_), before = k;
    while (count_ >> ++k)
      if (count_ >> k & 1) {
        join(k, level_[before], rows_[before]);
        rows_[k] += rows_[before];
        before = k;
      }
    for (std::int64_t c = 0; c < columns_; ++c) {
      first[c] = level_[before][0][c];
      second[c] = level_[before][1][c];
    }
  }

 private:
  void join(int k, const A (&later)[2][widest], std::int64_t rows) {
    Join::join(level_[k][0], level_[k][1], A(rows_[k]), later[0], later[1], A(rows), columns_);
  }
  void copy(const A* first, const A* second, A (&to)[2][widest]) const {
    for (std::int64_t c = 0; c < columns_; ++c) {
      to[0][c] = first[c];
      to[1][c] = second[c];
    }
  }

  A level_[levels][2][widest];
  std::int64_t rows_[levels];
  std::uint64_t count_ = 0;
  std::int64_t columns_;
};

// Calls block(pair, first row, rows) for each block of the tree.
template <class Join, class S, class A, class F>
void over_blocks(const NormaliseRows<S, A>& of, A* first, A* second, F block) {
  PairCounter<A, Join> counter(of.columns);
  const std::int64_t step = normalise_block(of.stride);
  alignas(64) A pair[2][widest];
  for (std::int64_t r = 0; r < of.rows; r += step) {
    const std::int64_t rows = of.rows - r < step ? of.rows - r : step;
    block(pair, r, rows);
    counter.push(pair, rows);
  }
  counter.finish(first, second);
}

template <class S, class A>
void moments(const NormaliseRows<S, A>& of, A* mean, A* deviations) {
  over_blocks<MergeMoments>(
      of, mean, deviations, [&of](A(&pair)[2][widest], std::int64_t first, std::int64_t rows) {
        const Wide wide(rows, of.stride, of.columns);
        const S* x = of.x + first * of.stride;
        A *sum = pair[0], *squares = pair[1];
        accumulate(
            wide, sum, [](std::int64_t) {},
            [x](std::int64_t, std::int64_t i) { return A(widened(x[i])); });
        fold(wide, of.columns, sum);
        repeat(wide, of.columns, sum, [&](std::int64_t c) { return sum[c] / A(rows); });
        const S* next = x + rows * of.stride;  // memory works on while this block is read again
        alignas(64) A off[widest];
        const auto deviation = [x, sum](std::int64_t j, std::int64_t i) {
          return A(widened(x[i])) - sum[j];
        };
        accumulate(
            wide, off, squares, [&](std::int64_t at) { prefetch(next + at, 4, wide); }, deviation,
            deviation);
        fold(wide, of.columns, off);
        fold(wide, of.columns, squares);
        for (std::int64_t c = 0; c < of.columns; ++c)
          correct_moments(sum[c], squares[c], off[c], A(rows));
      });
}

// The formulas of values and slopes, those of kernels/formulas.h.
struct Identity {
  template <class A>
  A operator()(A x) const {
    return x;
  }
};
enum class Reads { nothing, value, argument };  // beside g
struct Unchanged {
  static constexpr Reads reads = Reads::nothing;
  template <class A>
  A operator()(A g, A) const {
    return g;
  }
};
template <class F>
struct FromOutput : F {
  static constexpr Reads reads = Reads::value;
};
struct FromArgument : SiluFromInput {
  static constexpr Reads reads = Reads::argument;
};

template <class F>
void with_value(Activation activation, double slope, F f) {
  switch (activation) {
    case Activation::none:
      return f(Identity{});
    case Activation::relu:
      return f(Relu{});
    case Activation::leaky_relu:
      return f(LeakyRelu{slope});
    case Activation::tanh:
      return f(Tanh{});
    case Activation::sigmoid:
      return f(Sigmoid{});
    case Activation::silu:
      return f(Silu{});
  }
}
template <class F>
void with_slope(Activation activation, double slope, F f) {
  switch (activation) {
    case Activation::none:
      return f(Unchanged{});
    case Activation::relu:
      return f(FromOutput<ReluFromOutput>{});
    case Activation::leaky_relu:
      return f(FromOutput<LeakyReluFromOutput>{slope});
    case Activation::tanh:
      return f(FromOutput<TanhFromOutput>{});
    case Activation::sigmoid:
      return f(FromOutput<SigmoidFromOutput>{});
    case Activation::silu:
      return f(FromArgument{});
  }
}

// scale / √(variance + ε)
template <class S, class A>
A factor_of(const NormaliseRows<S, A>& of, std::int64_t c) {
  return (of.scale ? of.scale[c] : A(1)) / sqrt(of.variance[c] + of.epsilon);
}
template <class S, class A>
A shift_of(const NormaliseRows<S, A>& of, std::int64_t c) {
  return of.shift ? of.shift[c] : A(0);
}

// What a slope takes beside g: y, or the activation's argument, the bits that normalise() has.
template <Reads reads, class A, class S>
A told(const S* y, std::int64_t i, A centred, A factor, A shift) {
  if constexpr (reads == Reads::argument)
    return multiply_add(centred, factor, shift);
  else
    return widened(y[i]);
}

template <class S, class A>
void sums(const NormaliseRows<S, A>& of, A* of_shift, A* of_scale) {
  const Wide all(of.rows, of.stride, of.columns);
  alignas(64) A means[widest], factors[widest], shifts[widest];
  repeat(all, of.columns, means, [&](std::int64_t c) { return of.mean[c]; });
  repeat(all, of.columns, factors, [&](std::int64_t c) { return factor_of(of, c); });
  repeat(all, of.columns, shifts, [&](std::int64_t c) { return shift_of(of, c); });
  with_slope(of.activation, of.slope, [&](auto slope) {
    constexpr Reads reads = decltype(slope)::reads;
    over_blocks<AddPairs>(
        of, of_shift, of_scale, [&](A(&pair)[2][widest], std::int64_t first, std::int64_t rows) {
          const Wide wide(rows, of.stride, of.columns);
          const std::int64_t skipped = first * of.stride;
          const S *x = of.x + skipped, *g = of.g + skipped,
                  *y = reads == Reads::value ? of.y + skipped : g;
          const A *mean = means, *factor = factors, *shift = shifts;
          const auto centred = [=](std::int64_t j, std::int64_t i) {
            return A(widened(x[i])) - mean[j];
          };
          accumulate(
              wide, pair[0], pair[1], [](std::int64_t) {},
              [=](std::int64_t j, std::int64_t i) {
                return A(
                    slope(A(widened(g[i])), told<reads>(y, i, centred(j, i), factor[j], shift[j])));
              },
              centred);
          fold(wide, of.columns, pair[0]);
          fold(wide, of.columns, pair[1]);
        });
  });
  for (std::int64_t c = 0; c < of.columns; ++c)
    of_scale[c] /= sqrt(of.variance[c] + of.epsilon);
}

template <class A, class Join>
void join(const A* parts, std::int64_t count, std::int64_t stride, std::int64_t columns,
          std::int64_t rows, std::int64_t last_rows, A* first, A* second) {
  PairCounter<A, Join> counter(columns);
  A pair[2][widest];
  for (std::int64_t i = 0; i < count; ++i, parts += 2 * stride) {
    for (std::int64_t c = 0; c < columns; ++c) {
      pair[0][c] = parts[c];
      pair[1][c] = parts[stride + c];
    }
    counter.push(pair, i + 1 < count ? rows : last_rows);
  }
  counter.finish(first, second);
}

// Calls row(first element, elements) for each wide row.
template <class F>
void over_rows(const Wide& wide, F row) {
  for (std::int64_t r = 0; r < wide.rows; ++r)
    row(r * wide.stride, wide.width);
  if (wide.rest > 0)
    row(wide.rows * wide.stride, wide.rest);
}

template <class S, class A>
void normalise(const NormaliseRows<S, A>& of) {
  const Wide wide(of.rows, of.stride, of.columns);
  alignas(64) A mean[widest_written], factor[widest_written], shift[widest_written];
  repeat(wide, of.columns, mean, [&](std::int64_t c) { return of.mean[c]; });
  repeat(wide, of.columns, factor, [&](std::int64_t c) { return factor_of(of, c); });
  repeat(wide, of.columns, shift, [&](std::int64_t c) { return shift_of(of, c); });
  with_value(of.activation, of.slope, [&](auto activation) {
    over_rows(wide, [&](std::int64_t at, std::int64_t count) {
      const S* x = of.x + at;
      S* out = of.out + at;
#pragma omp simd
      for (std::int64_t j = 0; j < count; ++j)
        out[j] =
            narrowed<S>(activation(multiply_add(A(widened(x[j])) - mean[j], factor[j], shift[j])));
    });
  });
}

// to[c] = Σ of scale times a sum over the channels that share moments with c, divided by how many
// elements these have; 0 for no sums.
template <class S, class A>
void share_sums(const NormaliseRows<S, A>& of, const A* sums, A* to) {
  for (std::int64_t c = 0; c < of.columns;) {
    const std::int64_t begin = c - (of.first + c) % of.group;
    const A mean = sums ? group_sum(sums + begin, of.scale ? of.scale + begin : nullptr, of.group) /
                              (of.positions * A(of.group))
                        : A(0);
    for (; c < begin + of.group && c < of.columns; ++c)
      to[c] = mean;
  }
}

// (scale h - mean of scale h - x̂ · mean of scale h x̂) / sd, the means over all elements that share
// moments: as factor h + (tilt (x - mean) + level).
template <class S, class A>
void data(const NormaliseRows<S, A>& of) {
  const Wide wide(of.rows, of.stride, of.columns);
  alignas(64) A mean[widest_written], factor[widest_written], shift[widest_written];
  alignas(64) A level[widest_written], tilt[widest_written];
  share_sums(of, of.sum_shift, level);
  share_sums(of, of.sum_scale, tilt);
  repeat(wide, of.columns, mean, [&](std::int64_t c) { return of.mean[c]; });
  repeat(wide, of.columns, factor, [&](std::int64_t c) { return factor_of(of, c); });
  repeat(wide, of.columns, shift, [&](std::int64_t c) { return shift_of(of, c); });
  repeat(wide, of.columns, level,
         [&](std::int64_t c) { return -level[c] / sqrt(of.variance[c] + of.epsilon); });
  repeat(wide, of.columns, tilt,
         [&](std::int64_t c) { return -tilt[c] / (of.variance[c] + of.epsilon); });
  with_slope(of.activation, of.slope, [&](auto slope) {
    constexpr Reads reads = decltype(slope)::reads;
    over_rows(wide, [&](std::int64_t at, std::int64_t count) {
      const S *x = of.x + at, *g = of.g + at, *y = reads == Reads::value ? of.y + at : g;
      S* out = of.out + at;
#pragma omp simd
      for (std::int64_t j = 0; j < count; ++j) {
        const A centred = A(widened(x[j])) - mean[j];
        const A h = slope(A(widened(g[j])), told<reads>(y, j, centred, factor[j], shift[j]));
        out[j] = narrowed<S>(multiply_add(h, factor[j], multiply_add(centred, tilt[j], level[j])));
      }
    });
  });
}

template <class S, class A>
constexpr NormaliseLoops<S, A> loops{moments<S, A>,     sums<S, A>,      join<A, MergeMoments>,
                                     join<A, AddPairs>, normalise<S, A>, data<S, A>};

}  // namespace

const NormaliseTable normalise_table{loops<float, float>, loops<double, double>,
                                     loops<std::uint16_t, float>};

}  // namespace likely::kernels::LIKELY_ISA
