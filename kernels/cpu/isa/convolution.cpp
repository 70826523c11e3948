// The f32 convolutions of one thread: pixels are gathered into strips or panels, block by block,
// for the tiles of the product.
//
// Every output has one accumulator; it takes its terms in ascending order by FMA, and waits in the
// result between blocks. So no bit depends on blocks, strips, panels, vectors or threads.
#include "kernels/cpu/isa/convolution.h"

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/isa/convolution_gather.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

constexpr std::int64_t most_columns = gathered_floats / k_block;  // of b that a thread works on

// ---- Pixels times weights

// Where the results of a strip lie.
struct Results {
  float* row[most_pixels];
  bool even;  // equally far apart
};

void multiply_scattered(const Strip& strip, const Results& results, Range columns, std::int64_t k,
                        const float* panels, std::int64_t length, bool carry) {
  alignas(64) float sums[tile_rows * tile_columns];
  for (std::int64_t j = 0; j < columns.count; j += tile_columns) {
    const std::int64_t n = smaller(tile_columns, columns.count - j);
    if (carry)
      for (std::int64_t i = 0; i < strip.m; ++i)
        copy(sums + i * tile_columns, results.row[i] + columns.begin + j, n);
    const float* const panel = panels + j * length;
    multiply(strip, n, k, panel, 0, tile_columns, panel, sums, tile_columns, carry);
    for (std::int64_t i = 0; i < strip.m; ++i)
      copy(results.row[i] + columns.begin + j, sums + i * tile_columns, n);
  }
}

// The taps of an axis that meet the image, from a place on.
Range taps_inside(const GatherAxis& axis, std::int64_t place, std::int64_t extent) {
  Range taps{0, axis.taps};
  for (; taps.count > 0 && place < 0; place += axis.apart, ++taps.begin)
    --taps.count;
  while (taps.count > 0 && place + (taps.count - 1) * axis.apart >= extent)
    --taps.count;
  return taps;
}

// A strip of pixels: what it sees and where its results go.
struct PixelStrip {
  Pixel pixel[most_pixels];
  std::int64_t count;
  Range rows, columns;  // of taps that are not left out
  Results results;

  PixelStrip(const PixelProduct& of, Range pixels)
      : count(pixels.count), rows{0, of.left.rows.taps}, columns{0, of.left.columns.taps} {
    const bool by_position = of.order == GatherOrder::positions;
    Walk walk(of.left, pixels.begin, by_position ? of.batch : 0);
    results.even = true;
    for (std::int64_t i = 0; i < count; ++i, walk.next()) {
      pixel[i] = walk.pixel();
      const std::int64_t row = of.left.rows.first + walk.row() * of.left.rows.step;
      const std::int64_t column = of.left.columns.first + walk.column() * of.left.columns.step;
      results.row[i] =
          of.result + ((walk.image() * of.height + row) * of.width + column) * of.pitch;
      results.even = results.even && (i < 2 || results.row[i] - results.row[i - 1] ==
                                                   results.row[1] - results.row[0]);
      if (by_position)
        pixel[i].inside = true;  // with the other taps left out
    }
    if (by_position) {
      rows = taps_inside(of.left.rows, pixel[0].row, of.left.height);
      columns = taps_inside(of.left.columns, pixel[0].column, of.left.width);
    }
  }
};

// The terms [p, p + k) of a strip.
void add_terms(const PixelProduct& of, const PixelStrip& pixels, Range columns, std::int64_t p,
               std::int64_t k, bool carry, float* space) {
  const std::int64_t length = of.left.length();
  const bool by_step = single(of.left);
  (by_step ? gather_single : gather)(of.left, pixels.pixel, pixels.count, p, k, space);
  const Strip strip{space, pixels.count, by_step ? packed_step : 1, by_step};
  const Results& results = pixels.results;
  const float* const panels = of.panels + columns.begin * length + p * tile_columns;
  const std::int64_t whole = columns.count / tile_columns * tile_columns;
  const std::int64_t apart = pixels.count > 1 ? results.row[1] - results.row[0] : 0;
  if (results.even)
    multiply(strip, columns.count, k, panels, length, tile_columns, panels + whole * length,
             results.row[0] + columns.begin, apart, carry);
  else
    multiply_scattered(strip, results, columns, k, panels, length, carry);
}

// Those of the terms [p0, p0 + k) that are not left out: neighbouring ones at once.
void pixel_strip(const PixelProduct& of, Range range, Range columns, std::int64_t p0,
                 std::int64_t k, float* space) {
  const PixelStrip pixels(of, range);
  const std::int64_t channels = of.left.channels, line = of.left.columns.taps * channels;
  const std::int64_t first = pixels.rows.begin * line + pixels.columns.begin * channels;
  const bool whole = pixels.columns.count == of.left.columns.taps;
  const std::int64_t runs = whole ? 1 : pixels.rows.count;
  const std::int64_t length = (whole ? pixels.rows.count : 1) * pixels.columns.count * channels;
  for (std::int64_t run = 0; run < runs && length > 0; ++run) {
    const std::int64_t begin = larger(p0, first + run * line);
    const std::int64_t end = smaller(p0 + k, first + run * line + length);
    if (begin < end)
      add_terms(of, pixels, columns, begin, end - begin, of.add || begin > first, space);
  }
  if (p0 == 0 && (runs == 0 || length == 0))
    add_terms(of, pixels, columns, 0, 0, of.add, space);
  if (p0 + k < of.left.length() || (!of.bias && of.activation == Activation::none))
    return;
  for (std::int64_t i = 0; i < pixels.count; ++i)
    finish(of.activation, of.slope, of.bias ? of.bias + columns.begin : nullptr, 1, columns.count,
           pixels.results.row[i] + columns.begin, columns.count);
}

void pixels(const PixelProduct& of, Range all, Range columns, float* space) {
  const std::int64_t length = of.left.length();
  const std::int64_t k_most = length ? pieces(length, pieces(length, k_block)) : 0;
  const std::int64_t span =
      of.order == GatherOrder::positions ? of.batch : all.count;  // in which strips lie
  const std::int64_t rows = pieces(span, pieces(span, tile_rows));
  for (std::int64_t j = 0; j < columns.count; j += most_columns) {
    const Range some{columns.begin + j, smaller(most_columns, columns.count - j)};
    std::int64_t p0 = 0;
    do {  // once where there are no terms: bias and activation remain
      const std::int64_t k = smaller(k_most, length - p0);
      for (std::int64_t m = 0; m < all.count; m += span)
        for (std::int64_t i = 0; i < span; i += rows)
          pixel_strip(of, {all.begin + m + i, smaller(rows, span - i)}, some, p0, k, space);
      p0 += k;
    } while (p0 < length);
  }
}

// ---- Weights: the pixels are what is summed over

// Terms of up to k_block pixels, for up to most_columns columns.
void weight_block(const WeightProduct& of, Range pixels, Range channels, Range columns, bool carry,
                  float* space) {
  float* const panels = space + strip_floats;
  const std::int64_t k = pixels.count, whole = columns.count / tile_columns * tile_columns;
  for (std::int64_t j = 0; j < columns.count; j += tile_columns)
    gather_panel(of.right, pixels, {columns.begin + j, smaller(tile_columns, columns.count - j)},
                 panels + j * k);
  const std::int64_t rows = pieces(channels.count, pieces(channels.count, tile_rows));
  for (std::int64_t i = 0; i < channels.count; i += rows) {
    const std::int64_t channel = channels.begin + i;
    const Strip strip{space, smaller(rows, channels.count - i), packed_step, true};
    pack_steps(of.left + pixels.begin * of.left_pitch + channel, of.left_pitch,
               channel + packed_step <= of.channels ? packed_step : strip.m, k, space);
    multiply(strip, columns.count, k, panels, k, tile_columns, panels + whole * k,
             of.result + channel * of.right.length() + columns.begin, of.right.length(), carry);
  }
}

void weights(const WeightProduct& of, Range pixels, Range channels, Range columns, float* space) {
  const std::int64_t most = pixels.count ? pieces(pixels.count, pieces(pixels.count, k_block)) : 0;
  for (std::int64_t j = 0; j < columns.count; j += most_columns) {
    const Range some{columns.begin + j, smaller(most_columns, columns.count - j)};
    std::int64_t p = 0;
    do {  // once where there are no pixels
      const Range here{pixels.begin + p, smaller(most, pixels.count - p)};
      weight_block(of, here, channels, some, of.add || p > 0, space);
      p += here.count;
    } while (p < pixels.count);
  }
}

constexpr std::size_t workspace = strip_floats + gathered_floats;

}  // namespace

const ConvolutionTable convolution_table{tile_rows, tile_columns, pack_panel, workspace,
                                         pixels,    lines_fit,    lines,      weights};

}  // namespace likely::kernels::LIKELY_ISA
