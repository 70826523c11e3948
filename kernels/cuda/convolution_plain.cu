// Convolutions by the plain kernel: a thread an output, any type, groups and kernel.
#include <algorithm>

#include "kernels/convolution_geometry.h"
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/convolution_tiles.h"

namespace likely::kernels::cuda {
namespace {

// One output's accumulator. It takes terms in the order of the CPU's plain kernel.
template <class T, bool tf32>
class Output {
 public:
  LIKELY_DEVICE Output(const ConvolutionProblem& p, T* result)
      : result_(result), sum_(p.add ? Computed<T>(*result) : Computed<T>(0)) {}

  LIKELY_DEVICE void add(const T* a, const T* b, std::int64_t terms, std::int64_t a_step,
                         std::int64_t b_step) {
    for (std::int64_t i = 0; i < terms; ++i)
      sum_ = multiply_add(operand<T, tf32>(a[i * a_step]), operand<T, tf32>(b[i * b_step]), sum_);
  }

  LIKELY_DEVICE void finish(const ConvolutionProblem& p, std::int64_t channel) {
    if (p.biased)
      sum_ = sum_ + Computed<T>(static_cast<const T*>(p.bias)[channel]);
    *result_ = T(activated(p, sum_));
  }

 private:
  T* result_;
  Computed<T> sum_;
};

template <class T, bool tf32>
LIKELY_DEVICE void forward(const ConvolutionGeometry<T>& of, std::int64_t index) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t channel = index % p.out, pixel = index / p.out;
  const std::int64_t column = pixel % p.output.columns, above = pixel / p.output.columns;
  const std::int64_t row = above % p.output.rows, batch = above / p.output.rows;
  const std::int64_t first = channel / of.group_out() * of.group_in();
  Output<T, tf32> output(p, of.y() + index);
  for (std::int64_t r = 0; r < p.kernel.rows; ++r)
    for (std::int64_t c = 0; c < p.kernel.columns; ++c)
      if (const T* x = of.image_at(batch, row, column, r, c))
        output.add(x + first, of.weight_at(channel, r, c), of.group_in(), 1, 1);
  output.finish(p, channel);
}

template <class T, bool tf32>
LIKELY_DEVICE void data(const ConvolutionGeometry<T>& of, std::int64_t index) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t channel = index % p.in, pixel = index / p.in;
  const std::int64_t column = pixel % p.image.columns, above = pixel / p.image.columns;
  const std::int64_t row = above % p.image.rows, batch = above / p.image.rows;
  const std::int64_t first = channel / of.group_in() * of.group_out();
  const std::int64_t step = p.kernel.rows * p.kernel.columns * of.group_in();
  Output<T, tf32> output(p, of.x() + index);
  for (std::int64_t r = p.kernel.rows - 1; r >= 0; --r)
    for (std::int64_t c = p.kernel.columns - 1; c >= 0; --c)
      if (const T* y = of.output_at(batch, row, column, r, c))
        output.add(y + first, of.weight_at(first, r, c) + channel % of.group_in(), of.group_out(),
                   1, step);
  output.finish(p, channel);
}

template <class T, bool tf32>
LIKELY_DEVICE void weight(const ConvolutionGeometry<T>& of, std::int64_t index) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t channel = index % of.group_in(), tap = index / of.group_in();
  const std::int64_t c = tap % p.kernel.columns, before = tap / p.kernel.columns;
  const std::int64_t r = before % p.kernel.rows, out = before / p.kernel.rows;
  const std::int64_t first = out / of.group_out() * of.group_in();
  Output<T, tf32> output(p, of.w() + index);
  const T* y = of.y() + out;
  for (std::int64_t batch = 0; batch < p.batch; ++batch)
    for (std::int64_t row = 0; row < p.output.rows; ++row)
      for (std::int64_t column = 0; column < p.output.columns; ++column, y += p.out)
        if (const T* x = of.image_at(batch, row, column, r, c))
          output.add(y, x + first + channel, 1, 0, 0);
  output.finish(p, 0);
}

constexpr int plain_threads = 128;

template <class T, bool tf32>
__global__ void __launch_bounds__(plain_threads) plain(ConvolutionProblem p, std::int64_t outputs) {
  const ConvolutionGeometry<T> of{p};
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < outputs; i += step) {
    if (p.direction == Direction::forward)
      forward<T, tf32>(of, i);
    else if (p.direction == Direction::data)
      data<T, tf32>(of, i);
    else
      weight<T, tf32>(of, i);
  }
}

template <class T>
const Variant plain_kernel = plain_convolution("plain", dtype_of<T>, Products::f32);
const Variant plain_tf32 = plain_convolution("plain tf32", DType::f32, Products::tf32);

template <class T, bool tf32 = false>
void launch_plain(const Variant& variant, const ConvolutionProblem& p) {
  const std::int64_t pixels = p.direction == Direction::forward ? p.output.rows * p.output.columns
                              : p.direction == Direction::data  ? p.image.rows * p.image.columns
                                                                : p.kernel.rows * p.kernel.columns;
  const std::int64_t outputs =
      pixels * (p.direction == Direction::forward ? p.batch * p.out
                : p.direction == Direction::data  ? p.batch * p.in
                                                  : p.out * p.in / p.groups);
  const std::int64_t blocks = quotient_up(outputs, plain_threads);
  const auto at_once = static_cast<unsigned>(std::min<std::int64_t>(blocks, 1 << 24));
  launch(variant, plain<T, tf32>, Grid{dim3(at_once), plain_threads}, p, outputs);
}

}  // namespace

void convolution_plain(const ConvolutionProblem& problem) {
  if (problem.tf32)
    launch_plain<float, true>(plain_tf32, problem);
  else if (problem.dtype == DType::f32)
    launch_plain<float>(plain_kernel<float>, problem);
  else if (problem.dtype == DType::f64)
    launch_plain<double>(plain_kernel<double>, problem);
  else
    launch_plain<bf16>(plain_kernel<bf16>, problem);
}

}  // namespace likely::kernels::cuda
