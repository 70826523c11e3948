// Convolutions as plain loops: one accumulator an output. A pixel of the result takes its terms in
// the order in which the other image lies in memory; a weight takes those of all pixels in theirs.
#include "kernels/cpu/convolution_plain.h"

#include <algorithm>

#include "kernels/convert.h"
#include "kernels/convolution_geometry.h"
#include "kernels/cpu/epilogue.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

// Up to 64 neighbouring results and their accumulators.
template <class T>
class Block {
 public:
  static constexpr std::int64_t most = 64;
  Block(const ConvolutionProblem& problem, T* results, std::int64_t count)
      : problem_(problem), results_(results), count_(count) {
    for (std::int64_t j = 0; j < count; ++j)
      sum_[j] = problem.add ? static_cast<Computed<T>>(results[j]) : 0;
  }

  // left[p] right[p, j] for p = 0, 1, …
  void add(const T* left, std::int64_t terms, const T* right, std::int64_t step,
           std::int64_t apart) {
    for (std::int64_t p = 0; p < terms; ++p)
      for (std::int64_t j = 0; j < count_; ++j)
        sum_[j] = multiply_add(static_cast<Computed<T>>(left[p]),
                               static_cast<Computed<T>>(right[p * step + j * apart]), sum_[j]);
  }

  void finish_from(std::int64_t channel) {
    Computed<T> bias[most];
    for (std::int64_t j = 0; problem_.biased && j < count_; ++j)
      bias[j] = static_cast<Computed<T>>(static_cast<const T*>(problem_.bias)[channel + j]);
    finish(problem_.activation, problem_.slope, problem_.biased ? bias : nullptr, 1, count_, sum_,
           count_);
    for (std::int64_t j = 0; j < count_; ++j)
      results_[j] = static_cast<T>(sum_[j]);
  }

 private:
  const ConvolutionProblem& problem_;
  T* results_;
  std::int64_t count_;
  Computed<T> sum_[most];
};

template <class T>
using Images = ConvolutionGeometry<T>;

template <class F>
void in_blocks(std::int64_t count, std::int64_t most, F f) {
  for (std::int64_t begin = 0; begin < count; begin += most)
    f(begin, std::min(most, count - begin));
}

template <class T>
void forward(const Images<T>& of, std::int64_t pixel) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t column = pixel % p.output.columns, above = pixel / p.output.columns;
  const std::int64_t row = above % p.output.rows, batch = above / p.output.rows;
  const std::int64_t apart = p.kernel.rows * p.kernel.columns * of.group_in();
  for (std::int64_t group = 0; group < p.groups; ++group)
    in_blocks(of.group_out(), Block<T>::most, [&](std::int64_t begin, std::int64_t count) {
      const std::int64_t channel = group * of.group_out() + begin;
      Block<T> block(p, of.y() + pixel * p.out + channel, count);
      for (std::int64_t r = 0; r < p.kernel.rows; ++r)
        for (std::int64_t c = 0; c < p.kernel.columns; ++c)
          if (const T* x = of.image_at(batch, row, column, r, c))
            block.add(x + group * of.group_in(), of.group_in(), of.weight_at(channel, r, c), 1,
                      apart);
      block.finish_from(channel);
    });
}

template <class T>
void data(const Images<T>& of, std::int64_t pixel) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t column = pixel % p.image.columns, above = pixel / p.image.columns;
  const std::int64_t row = above % p.image.rows, batch = above / p.image.rows;
  const std::int64_t step = p.kernel.rows * p.kernel.columns * of.group_in();
  for (std::int64_t group = 0; group < p.groups; ++group)
    in_blocks(of.group_in(), Block<T>::most, [&](std::int64_t begin, std::int64_t count) {
      const std::int64_t channel = group * of.group_in() + begin, first = group * of.group_out();
      Block<T> block(p, of.x() + pixel * p.in + channel, count);
      for (std::int64_t r = p.kernel.rows - 1; r >= 0; --r)
        for (std::int64_t c = p.kernel.columns - 1; c >= 0; --c)
          if (const T* y = of.output_at(batch, row, column, r, c))
            block.add(y + first, of.group_out(), of.weight_at(first, r, c) + begin, step, 1);
      block.finish_from(channel);
    });
}

template <class T>
void weight(const Images<T>& of, std::int64_t which) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t c = which % p.kernel.columns, before = which / p.kernel.columns;
  const std::int64_t r = before % p.kernel.rows, out = before / p.kernel.rows;
  const std::int64_t first = out / of.group_out() * of.group_in();
  in_blocks(of.group_in(), Block<T>::most, [&](std::int64_t begin, std::int64_t count) {
    Block<T> block(p, of.weight_at(out, r, c) + begin, count);
    const T* y = of.y() + out;
    for (std::int64_t batch = 0; batch < p.batch; ++batch)
      for (std::int64_t row = 0; row < p.output.rows; ++row)
        for (std::int64_t column = 0; column < p.output.columns; ++column, y += p.out)
          if (const T* x = of.image_at(batch, row, column, r, c))
            block.add(y, 1, x + first + begin, 0, 1);
    block.finish_from(0);
  });
}

template <class T>
void fill(const ConvolutionProblem& problem) {
  const Images<T> of{problem};
  const Direction direction = problem.direction;
  const Pixels pixels = direction == Direction::forward ? problem.output
                        : direction == Direction::data  ? problem.image
                                                        : problem.kernel;
  const std::int64_t count =
      pixels.rows * pixels.columns * (direction == Direction::weight ? problem.out : problem.batch);
  parallel_for(count, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      direction == Direction::forward ? forward(of, i)
      : direction == Direction::data  ? data(of, i)
                                      : weight(of, i);
  });
}

}  // namespace

void convolution_plain(const ConvolutionProblem& problem, void*) {
  if (problem.dtype == DType::f32)
    fill<float>(problem);
  else if (problem.dtype == DType::f64)
    fill<double>(problem);
  else
    fill<bf16>(problem);
}

}  // namespace likely::kernels
