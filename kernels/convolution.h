// Convolutions of images and their gradients, NHWC, with bias and activation in the epilogue.
#pragma once
#include <initializer_list>

#include "kernels/backend.h"
#include "kernels/epilogue.h"

namespace likely::kernels {

// So many pixels down and across; a single number means a square.
struct Pixels {
  std::int64_t rows, columns;
  Pixels(std::int64_t both) : rows(both), columns(both) {}
  Pixels(std::int64_t rows, std::int64_t columns) : rows(rows), columns(columns) {}
  bool operator==(const Pixels&) const = default;
};

// Throws, naming `operation`, where one of them is more than 2^31 - 1 down or across: so that
// products of two, and sums of such, stay within 63 bits.
void require_pixels(const char* operation, std::initializer_list<Pixels> all);

// Zeros around an image.
struct Padding {
  std::int64_t top, bottom, left, right;
  Padding(std::int64_t all) : Padding(all, all) {}
  Padding(std::int64_t down, std::int64_t across) : Padding(down, down, across, across) {}
  Padding(std::int64_t top, std::int64_t bottom, std::int64_t left, std::int64_t right)
      : top(top), bottom(bottom), left(left), right(right) {}
};

// How a kernel moves over the image: {.stride = 2, .padding = 1}.
struct ConvolutionOptions {
  Pixels stride = 1;
  Padding padding = 0;
  Pixels dilation = 1;      // the distance of neighbouring taps
  std::int64_t groups = 1;  // of channels that see only each other
};

// x [batch, height, width, in], w [out, rows, columns, in / groups]
//   → activation(convolution + bias [out]) [batch, height', width', out],
// where height' = (height + top + bottom - dilation (rows - 1) - 1) / stride + 1, rounded down.
//
// f32, f64, and bf16 (summed in f32); strided operands are copied first. Own kernels of f32 and f64
// sum over (row, column, channel) of the kernel in ascending order with one FMA accumulator an
// output, so that batch, tile, instruction set, threads and device change no bit. With into.add the
// accumulator starts at what `out` holds. Taps outside of the image count as zeros; what becomes of
// them where w is not finite is left open.
Tensor convolution(const Tensor& x, const Tensor& w, const ConvolutionOptions& options = {},
                   const Epilogue& epilogue = {}, const Into& into = {});

// The gradient of `convolution` in x, given that in its output: g [batch, height', width', out], w
// as above → [batch, image.rows, image.columns, in]. It also is the transposed convolution, whose
// weights lie [in, rows, columns, out / groups] in its own words. Without an image it is the
// smallest: what the last taps reach; up to stride - 1 rows and columns more may have been lost.
Tensor transposed_convolution(const Tensor& g, const Tensor& w,
                              const ConvolutionOptions& options = {}, Pixels image = 0,
                              const Epilogue& epilogue = {}, const Into& into = {});

// The gradient of `convolution` in w: x and g as above → [out, kernel.rows, kernel.columns,
// in / groups].
Tensor convolution_weight(const Tensor& x, const Tensor& g, Pixels kernel,
                          const ConvolutionOptions& options = {}, const Into& into = {});

// What a backend sees: the same for all three, of which one is computed from the other two. All
// contiguous; in, out in the words of `convolution`.
enum class Direction { forward, data, weight };
struct ConvolutionProblem {
  Direction direction;
  DType dtype;
  bool tf32;  // round the operands, which are f32
  std::int64_t batch, in, out, groups;
  Pixels image = 0, output = 0, kernel = 0, stride = 0, dilation = 0;
  std::int64_t top, left;  // padding
  void *x, *w, *y;  // x [batch, image, in], w [out, kernel, in / groups], y [batch, output, out]
  bool add;         // start from what the result holds
  bool biased;
  const void* bias;  // a value a channel of the result
  Activation activation;
  double slope;
  int plan = 0;  // of a vendor's: the one that its heuristics put first, and those behind it
};

struct ConvolutionBackend {
  const char* name;
  bool (*serves)(const ConvolutionProblem& problem);  // pointers may be null, here and in workspace
  std::size_t (*workspace)(const ConvolutionProblem& problem, int threads);  // bytes
  void (*fill)(const ConvolutionProblem& problem, void* workspace);
};
Family<ConvolutionBackend>& convolution_family();

}  // namespace likely::kernels
