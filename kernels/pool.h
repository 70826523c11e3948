// Max and average pooling of images, NHWC, and the maps between an image and its windows that their
// gradients are.
#pragma once
#include "kernels/convolution.h"

namespace likely::kernels {

// Windows of kernel.rows x kernel.columns taps; the padding is smaller than they.
struct PoolOptions {
  Pixels kernel = 2;
  Pixels stride = 2;
  Padding padding = 0;
};

// x [batch, height, width, channels] → the largest of each window [batch, height', width',
// channels], height' = (height + top + bottom - rows) / stride + 1, rounded down; padding is never
// the largest, and an image without pixels has none. tap (i32): which element of the window, row by
// row, was the first largest. NaN counts as largest.
struct MaxPooled {
  Tensor y, tap;
};
MaxPooled max_pool(const Tensor& x, const PoolOptions& options);

// The sum of each window over all its taps, divided; with taps (defined), of the element at the tap
// alone. f32 and bf16 add in f32.
Tensor pool_sum(const Tensor& x, const Tensor& tap, const PoolOptions& options, double divisor);
// The adjoint: g [batch, height', width', channels] → [batch, image.rows, image.columns, channels].
Tensor pool_spread(const Tensor& g, const Tensor& tap, const PoolOptions& options, Pixels image,
                   double divisor);

struct PoolProblem {
  DType dtype;
  std::int64_t batch, channels;
  Pixels image, windows, kernel, stride;
  std::int64_t top, left;
  const void* from;
  std::int32_t* tap;  // of windows, or null
  void* to;           // all contiguous
  double divisor;
};
struct PoolBackend {
  const char* name;
  void (*max)(const PoolProblem& problem);     // image → windows, tap
  void (*sum)(const PoolProblem& problem);     // image → windows
  void (*spread)(const PoolProblem& problem);  // windows → image
};
Family<PoolBackend>& pool_family();

}  // namespace likely::kernels
