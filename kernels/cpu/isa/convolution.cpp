// The f32 convolutions of one thread: pixels are gathered into strips or panels, block by block,
// for the tiles of the product.
//
// Every output has one accumulator; it takes its terms in ascending order by FMA, and waits in the
// result between blocks. So no bit depends on blocks, strips, panels, vectors or threads.
#include "kernels/cpu/isa/convolution.h"

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/isa/matmul_strip.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

constexpr std::int64_t most_columns = 256;  // of the right operand that a thread works on at once
constexpr std::int64_t most_pixels = 16;    // gathered at once; at least tile_rows

// ---- Gathering

// Where a pixel's taps lie in the source.
struct Pixel {
  const float* image;        // of the batch
  std::int64_t row, column;  // of the first tap
  bool inside;               // all taps are
};

// Walks over the pixels of a batch, from any of them on.
class Walk {
 public:
  Walk(const Gather& of, std::int64_t pixel)
      : of_(of),
        column_(pixel % of.columns.count),
        row_(pixel / of.columns.count % of.rows.count),
        image_(pixel / of.columns.count / of.rows.count) {}

  std::int64_t image() const { return image_; }
  std::int64_t row() const { return row_; }
  std::int64_t column() const { return column_; }

  Pixel pixel() const {
    const std::int64_t row = row_ * of_.rows.stride + of_.rows.offset;
    const std::int64_t column = column_ * of_.columns.stride + of_.columns.offset;
    const bool inside = row >= 0 && row + (of_.rows.taps - 1) * of_.rows.apart < of_.height &&
                        column >= 0 &&
                        column + (of_.columns.taps - 1) * of_.columns.apart < of_.width;
    return {of_.source + image_ * of_.height * of_.width * of_.pitch, row, column, inside};
  }

  void next() {
    if (++column_ < of_.columns.count)
      return;
    column_ = 0;
    if (++row_ < of_.rows.count)
      return;
    row_ = 0;
    ++image_;
  }

 private:
  const Gather& of_;
  std::int64_t column_, row_, image_;
};

// Elements [from, from + n) of `row`, which has `length`; zeros outside.
void window(const float* row, std::int64_t length, std::int64_t from, std::int64_t n, float* to) {
  const std::int64_t begin = larger(0, smaller(n, -from));
  const std::int64_t end = larger(begin, smaller(n, length - from));
  zero(to, begin);
  copy(to + begin, row + from + begin, end - begin);
  zero(to + end, n - end);
}

// Columns [p0, p0 + n) of the rows of some pixels, to rows that are to_row apart. What neighbouring
// taps of a row see lies side by side, unless dilation or groups part it.
void gather(const Gather& of, const Pixel* pixels, std::int64_t count, std::int64_t p0,
            std::int64_t n, float* to, std::int64_t to_row) {
  const bool adjacent = of.columns.apart == 1 && of.channels == of.pitch;
  const std::int64_t length = adjacent ? of.columns.taps * of.channels : of.channels;
  const std::int64_t runs = adjacent ? 1 : of.columns.taps, line = of.width * of.pitch;
  for (std::int64_t p = p0; p < p0 + n;) {
    const std::int64_t run = p / length, skipped = p % length;
    const std::int64_t here = smaller(length - skipped, p0 + n - p);
    const std::int64_t down = run / runs * of.rows.apart;
    const std::int64_t across = run % runs * of.columns.apart * of.pitch + skipped;
    for (std::int64_t i = 0; i < count; ++i) {
      const Pixel& pixel = pixels[i];
      const std::int64_t row = pixel.row + down, from = pixel.column * of.pitch + across;
      float* const there = to + i * to_row + (p - p0);
      if (pixel.inside)
        copy(there, pixel.image + row * line + from, here);
      else if (row < 0 || row >= of.height)
        zero(there, here);
      else
        window(pixel.image + row * line, line, from, here, there);
    }
    p += here;
  }
}

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

// Terms [p0, p0 + k) of one strip of pixels.
void pixel_strip(const PixelProduct& of, Range pixels, Range columns, std::int64_t p0,
                 std::int64_t k, float* space) {
  const std::int64_t length = of.left.length();
  Walk walk(of.left, pixels.begin);
  Pixel pixel[most_pixels];
  Results results;
  results.even = true;
  for (std::int64_t i = 0; i < pixels.count; ++i, walk.next()) {
    pixel[i] = walk.pixel();
    const std::int64_t row = of.left.rows.first + walk.row() * of.left.rows.step;
    const std::int64_t column = of.left.columns.first + walk.column() * of.left.columns.step;
    results.row[i] = of.result + ((walk.image() * of.height + row) * of.width + column) * of.pitch;
    results.even = results.even && (i < 2 || results.row[i] - results.row[i - 1] ==
                                                 results.row[1] - results.row[0]);
  }
  gather(of.left, pixel, pixels.count, p0, k, space, packed_row);

  const Strip strip{space, pixels.count, 1, false};
  const float* const panels = of.panels + columns.begin * length + p0 * tile_columns;
  const std::int64_t whole = columns.count / tile_columns * tile_columns;
  const std::int64_t apart = pixels.count > 1 ? results.row[1] - results.row[0] : 0;
  const bool carry = of.add || p0 > 0;
  if (results.even)
    multiply(strip, columns.count, k, panels, length, tile_columns, panels + whole * length,
             results.row[0] + columns.begin, apart, carry);
  else
    multiply_scattered(strip, results, columns, k, panels, length, carry);
  if (p0 + k < length || (!of.bias && of.activation == Activation::none))
    return;
  for (std::int64_t i = 0; i < pixels.count; ++i)
    finish(of.activation, of.slope, of.bias ? of.bias + columns.begin : nullptr, 1, columns.count,
           results.row[i] + columns.begin, columns.count);
}

void pixels(const PixelProduct& of, Range all, Range columns, float* space) {
  const std::int64_t length = of.left.length();
  const std::int64_t k_most = length ? pieces(length, pieces(length, k_block)) : 0;
  const std::int64_t rows = pieces(all.count, pieces(all.count, tile_rows));
  for (std::int64_t j = 0; j < columns.count; j += most_columns) {
    const Range some{columns.begin + j, smaller(most_columns, columns.count - j)};
    std::int64_t p0 = 0;
    do {  // once where there are no terms: bias and activation remain
      const std::int64_t k = smaller(k_most, length - p0);
      for (std::int64_t i = 0; i < all.count; i += rows)
        pixel_strip(of, {all.begin + i, smaller(rows, all.count - i)}, some, p0, k, space);
      p0 += k;
    } while (p0 < length);
  }
}

// ---- Weights: the pixels are what is summed over

void gather_panel(const Gather& of, Range pixels, Range columns, float* to) {
  if (columns.count < tile_columns)  // what narrower tiles read beside the last columns
    __builtin_memset(to, 0, pixels.count * tile_columns * sizeof(float));
  Walk walk(of, pixels.begin);
  for (std::int64_t i = 0; i < pixels.count; i += most_pixels) {
    Pixel pixel[most_pixels];
    const std::int64_t count = smaller(most_pixels, pixels.count - i);
    for (std::int64_t l = 0; l < count; ++l, walk.next())
      pixel[l] = walk.pixel();
    gather(of, pixel, count, columns.begin, columns.count, to + i * tile_columns, tile_columns);
  }
}

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

constexpr std::size_t workspace = strip_floats + k_block * most_columns;

}  // namespace

const ConvolutionTable convolution_table{tile_rows, tile_columns, pack_panel,
                                         workspace, pixels,       weights};

}  // namespace likely::kernels::LIKELY_ISA
