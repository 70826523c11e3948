// The front of pooling: checks, and how many windows there are.
#include "kernels/pool.h"

#include "kernels/copy.h"

namespace likely::kernels {
namespace {

std::int64_t windows_along(std::int64_t padded, std::int64_t kernel, std::int64_t stride) {
  return padded < kernel ? 0 : (padded - kernel) / stride + 1;
}

// Sizes alone; the image has these extents.
PoolProblem problem_of(const char* operation, const Tensor& x, Pixels image,
                       const PoolOptions& options) {
  require(x.defined() && x.rank() == 4,
          "{}: x is {}, not [batch, height, width, channels]. Reshape it.", operation, x.shape());
  require(is_floating(x.dtype()),
          "{}: {} is not pooled: only floating-point types are. Use cast() first.", operation,
          x.dtype());
  const auto& [kernel, stride, pad] = options;
  require_pixels(operation, {image, kernel, stride});
  require_pixels(operation, {kernel.rows * kernel.columns});  // taps are numbered in 32 bits
  require(kernel.rows > 0 && kernel.columns > 0 && stride.rows > 0 && stride.columns > 0,
          "{}: windows of {} x {}, {} x {} apart, do not cover anything. Use 1 or more.", operation,
          kernel.rows, kernel.columns, stride.rows, stride.columns);
  const auto within = [](std::int64_t a, std::int64_t b, std::int64_t extent) {
    return a >= 0 && b >= 0 && a < extent && b < extent;
  };
  require(
      within(pad.top, pad.bottom, kernel.rows) && within(pad.left, pad.right, kernel.columns),
      "{}: a padding of {}, {}, {}, {} would leave windows of {} x {} without a pixel. Pad less "
      "than the window.",
      operation, pad.top, pad.bottom, pad.left, pad.right, kernel.rows, kernel.columns);
  const Pixels windows(
      windows_along(pad.top + image.rows + pad.bottom, kernel.rows, stride.rows),
      windows_along(pad.left + image.columns + pad.right, kernel.columns, stride.columns));
  return {x.dtype(), x.size(0), x.size(3), image,   windows, kernel, stride,
          pad.top,   pad.left,  nullptr,   nullptr, nullptr, 1};
}

void require_taps(const char* operation, const Tensor& tap, const Shape& windows,
                  const Tensor& like) {
  require(!tap.defined() || (tap.shape() == windows && tap.dtype() == DType::i32 &&
                             tap.device() == like.device() && tap.contiguous()),
          "{}: taps are {} {}, windows {}. Give those of max_pool.", operation, tap.dtype(),
          tap.shape(), windows);
}

using Fill = void (*PoolBackend::*)(const PoolProblem&);

Tensor filled(const char* operation, PoolProblem problem, const Shape& shape, const Tensor& from,
              const Tensor& tap, Fill fill) {
  const Tensor x = contiguous(from);
  const Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  launched({operation, 0, static_cast<double>(x.bytes() + out.bytes() + tap.bytes())});
  if (out.is_meta() || out.numel() == 0)
    return out;
  problem.from = x.raw();
  problem.tap = tap.defined() ? tap.data<std::int32_t>() : nullptr;
  problem.to = out.raw();
  (pool_family().serving(x.device()).*fill)(problem);
  return out;
}

Shape windows_of(const PoolProblem& p) {
  return {p.batch, p.windows.rows, p.windows.columns, p.channels};
}

}  // namespace

Family<PoolBackend>& pool_family() {
  static Family<PoolBackend> family("pool");
  return family;
}

MaxPooled max_pool(const Tensor& x, const PoolOptions& options) {
  const Pixels image = x.rank() == 4 ? Pixels(x.size(1), x.size(2)) : Pixels(0);
  const PoolProblem problem = problem_of("max_pool", x, image, options);
  require(x.numel() > 0 || windows_of(problem).numel() == 0,
          "max_pool: an image without pixels has no largest: x is {}, its windows are {}. Give "
          "images, or no padding.",
          x.shape(), windows_of(problem));
  const Tensor tap = Tensor::empty(windows_of(problem), DType::i32, x.device());
  return {filled("max_pool", problem, windows_of(problem), x, tap, &PoolBackend::max), tap};
}

Tensor pool_sum(const Tensor& x, const Tensor& tap, const PoolOptions& options, double divisor) {
  const Pixels image = x.rank() == 4 ? Pixels(x.size(1), x.size(2)) : Pixels(0);
  PoolProblem problem = problem_of("pool_sum", x, image, options);
  require_taps("pool_sum", tap, windows_of(problem), x);
  problem.divisor = divisor;
  return filled("pool_sum", problem, windows_of(problem), x, tap, &PoolBackend::sum);
}

Tensor pool_spread(const Tensor& g, const Tensor& tap, const PoolOptions& options, Pixels image,
                   double divisor) {
  PoolProblem problem = problem_of("pool_spread", g, image, options);
  require(g.shape() == windows_of(problem),
          "pool_spread: an image of {} x {} has windows {}, but g is {}.", image.rows,
          image.columns, windows_of(problem), g.shape());
  require_taps("pool_spread", tap, windows_of(problem), g);
  problem.divisor = divisor;
  return filled("pool_spread", problem, {problem.batch, image.rows, image.columns, g.size(3)}, g,
                tap, &PoolBackend::spread);
}

}  // namespace likely::kernels
