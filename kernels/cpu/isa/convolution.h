// The f32 convolutions as one thread computes them, once for each instruction set: products whose
// one operand is gathered from an image, pixel by pixel, and never laid out whole.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/convolution_gather.h"

namespace likely::kernels {

// In which order results are computed: image by image; the same pixel of all images and then the
// next, where all leave out the same taps; or, for few channels, line by line with pixels as lanes.
enum class GatherOrder { images, positions, lines };

// result = activation(gathered pixels times packed weights + bias), a pixel of the result a row.
struct PixelProduct {
  Gather left;
  std::int64_t batch;
  GatherOrder order;
  const float* panels;  // of panel_columns columns, each [left.length(), columns]
  float* result;        // [batch, height, width, pitch], from a channel on
  std::int64_t height, width, pitch;
  bool add;           // start from what the result holds
  const float* bias;  // or null
  Activation activation;
  double slope;
};

// result [channels, right.length()] = left [pixels, channels]ᵀ times gathered pixels.
struct WeightProduct {
  const float* left;  // channels of pixels that are left_pitch apart
  std::int64_t left_pitch, channels;
  Gather right;
  float* result;
  bool add;
};

// From a row or column on, so many of them.
struct Range {
  std::int64_t begin, count;
};

struct ConvolutionTable {
  std::int64_t strip_rows, panel_columns;
  // Rows of k, up to panel_columns columns: right[row * p + column * j] to panel[p, j].
  void (*pack)(const float* right, std::int64_t row, std::int64_t column, std::int64_t k,
               std::int64_t columns, float* panel);
  std::size_t workspace;  // floats that the two products need
  void (*pixels)(const PixelProduct& of, Range pixels, Range columns, float* workspace);
  // Results of few_channels at most, in whole lines, if the lines that are read fit.
  bool (*lines_fit)(const Gather& of);
  void (*lines)(const PixelProduct& of, Range pixels, Range columns, float* workspace);
  void (*weights)(const WeightProduct& of, Range pixels, Range channels, Range columns,
                  float* workspace);
};

constexpr std::int64_t few_channels = 4;           // of results that are computed line by line
constexpr std::int64_t gathered_floats = 1 << 17;  // at most, of a right operand or of lines

namespace isa_v3 {
bool lines_fit(const Gather& of);
void lines(const PixelProduct& of, Range pixels, Range columns, float* workspace);
extern const ConvolutionTable convolution_table;
}  // namespace isa_v3
namespace isa_v4 {
bool lines_fit(const Gather& of);
void lines(const PixelProduct& of, Range pixels, Range columns, float* workspace);
extern const ConvolutionTable convolution_table;
}  // namespace isa_v4

}  // namespace likely::kernels
