// Pixels of an image and the channels that they see through their taps, copied into the strips and
// panels of a product.
#pragma once
#include "kernels/cpu/isa/convolution.h"
#include "kernels/cpu/isa/matmul_strip.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

constexpr std::int64_t most_pixels = 16;  // of a strip; at least tile_rows

// Where a pixel's taps lie in the source.
struct Pixel {
  const float* image;        // of the batch
  std::int64_t row, column;  // of the first tap
  bool inside;               // all taps are
};

// Walks over the pixels of a batch, from any of them on: image by image, or, given how many images
// there are, position by position.
class Walk {
 public:
  Walk(const Gather& of, std::int64_t pixel, std::int64_t images = 0) : of_(of), images_(images) {
    const std::int64_t positions = of.rows.count * of.columns.count;
    const std::int64_t position = images ? pixel / images : pixel % positions;
    image_ = images ? pixel % images : pixel / positions;
    column_ = position % of.columns.count;
    row_ = position / of.columns.count;
  }

  std::int64_t image() const { return image_; }
  std::int64_t row() const { return row_; }
  std::int64_t column() const { return column_; }

  Pixel pixel() const {
    const std::int64_t row = row_ * of_.rows.stride + of_.rows.offset;
    const std::int64_t column = column_ * of_.columns.stride + of_.columns.offset;
    const bool inside = row >= 0 && row + (of_.rows.taps - 1) * of_.rows.apart < of_.height &&
                        column >= 0 &&
                        column + (of_.columns.taps - 1) * of_.columns.apart < of_.width;
    return {static_cast<const float*>(of_.source) + image_ * of_.height * of_.width * of_.pitch,
            row, column, inside};
  }

  void next_line() {
    column_ = of_.columns.count - 1;
    next();
  }

  void next() {
    if (images_ && ++image_ < images_)
      return;
    image_ = images_ ? 0 : image_;
    if (++column_ < of_.columns.count)
      return;
    column_ = 0;
    if (++row_ < of_.rows.count || images_)
      return;
    row_ = 0;
    ++image_;
  }

 private:
  const Gather& of_;
  std::int64_t images_, image_, row_, column_;
};

// Elements [from, from + n) of `row`, which has `length`; zeros outside.
inline void window(const float* row, std::int64_t length, std::int64_t from, std::int64_t n,
                   float* to) {
  const std::int64_t begin = larger(0, smaller(n, -from));
  const std::int64_t end = larger(begin, smaller(n, length - from));
  zero(to, begin);
  copy(to + begin, row + from + begin, end - begin);
  zero(to + end, n - end);
}

// What neighbouring taps of a row see lies side by side, unless dilation or groups part it.
struct Run {
  std::int64_t down, across, count;  // rows and elements from a pixel's first tap on; how many
};
struct Runs {
  std::int64_t length, in_row, row_apart, column_apart;

  explicit Runs(const Gather& of) {
    const bool adjacent = of.columns.apart == 1 && of.channels == of.pitch;
    length = adjacent ? of.columns.taps * of.channels : of.channels;
    in_row = adjacent ? 1 : of.columns.taps;
    row_apart = of.rows.apart;
    column_apart = of.columns.apart * of.pitch;
  }
  // From term p on, `most` terms at most.
  Run at(std::int64_t p, std::int64_t most) const {
    const std::int64_t run = p / length, skipped = p % length;
    return {run / in_row * row_apart, run % in_row * column_apart + skipped,
            smaller(length - skipped, most)};
  }
};

// Terms [p0, p0 + n) of some pixels, as rows of a strip.
inline void gather(const Gather& of, const Pixel* pixels, std::int64_t count, std::int64_t p0,
                   std::int64_t n, float* to) {
  const Runs runs(of);
  const std::int64_t line = of.width * of.pitch;
  for (std::int64_t p = p0; p < p0 + n;) {
    const Run run = runs.at(p, p0 + n - p);
    for (std::int64_t i = 0; i < count; ++i) {
      const Pixel& pixel = pixels[i];
      const std::int64_t row = pixel.row + run.down, from = pixel.column * of.pitch + run.across;
      float* const there = to + i * packed_row + (p - p0);
      if (pixel.inside)
        copy(there, pixel.image + row * line + from, run.count);
      else if (row < 0 || row >= of.height)
        zero(there, run.count);
      else
        window(pixel.image + row * line, line, from, run.count, there);
    }
    p += run.count;
  }
}

// The same of single values that neighbouring pixels see side by side: the strip's rows are
// adjacent.
inline bool single(const Gather& of) { return of.pitch == 1 && of.columns.stride == 1; }
inline void gather_single(const Gather& of, const Pixel* pixels, std::int64_t count,
                          std::int64_t p0, std::int64_t n, float* to) {
  for (std::int64_t i = 0; i < count;) {
    const Pixel& first = pixels[i];
    std::int64_t end = i + 1;
    while (end < count && pixels[end].image == first.image && pixels[end].row == first.row)
      ++end;
    for (std::int64_t p = p0; p < p0 + n; ++p) {
      const std::int64_t row = first.row + p / of.columns.taps * of.rows.apart;
      const std::int64_t column = first.column + p % of.columns.taps * of.columns.apart;
      float* const there = to + (p - p0) * packed_step + i;
      if (row < 0 || row >= of.height)
        zero(there, end - i);
      else
        window(first.image + row * of.width, of.width, column, end - i, there);
    }
    i = end;
  }
}

// ---- Panels of a right operand: a row a pixel

// Neighbouring pixels of one line, whose windows of the source's row are `step` apart.
struct Segment {
  const float* row;  // null: outside
  std::int64_t length, from, step, count;

  // The first pixel whose window would begin inside if all lay `shift` elements further.
  std::int64_t pixel_from(std::int64_t shift) const {
    return larger(0, smaller(count, pieces(-from - shift, step)));
  }
};

inline void gather_segment(const Segment& of, std::int64_t n, float* to) {
  const std::int64_t begin = of.row ? of.pixel_from(0) : of.count;
  const std::int64_t end = larger(begin, of.row ? of.pixel_from(n - of.length - 1) : 0);
  std::int64_t i = 0, from = of.from;
  const auto one = [&] { of.row ? window(of.row, of.length, from, n, to) : zero(to, n); };
  for (; i < begin; ++i, from += of.step, to += tile_columns)
    one();
  for (; i < end; ++i, from += of.step, to += tile_columns)
    copy(to, of.row + from, n);
  for (; i < of.count; ++i, from += of.step, to += tile_columns)
    one();
}

inline void gather_panel(const Gather& of, Range pixels, Range columns, float* to) {
  if (columns.count < tile_columns)  // what narrower tiles read beside the last columns
    __builtin_memset(to, 0, pixels.count * tile_columns * sizeof(float));
  const Runs runs(of);
  const std::int64_t line = of.width * of.pitch;
  for (std::int64_t p = columns.begin; p < columns.begin + columns.count;) {
    const Run run = runs.at(p, columns.begin + columns.count - p);
    Walk walk(of, pixels.begin);
    for (std::int64_t i = 0; i < pixels.count;) {
      const Pixel pixel = walk.pixel();
      const std::int64_t row = pixel.row + run.down;
      const std::int64_t count = smaller(of.columns.count - walk.column(), pixels.count - i);
      gather_segment({row >= 0 && row < of.height ? pixel.image + row * line : nullptr, line,
                      pixel.column * of.pitch + run.across, of.columns.stride * of.pitch, count},
                     run.count, to + i * tile_columns + (p - columns.begin));
      i += count;
      walk.next_line();
    }
    p += run.count;
  }
}

}  // namespace
}  // namespace likely::kernels::LIKELY_ISA
