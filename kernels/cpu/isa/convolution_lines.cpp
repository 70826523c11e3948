// Convolutions to few channels, line by line: neighbouring pixels are the lanes of the tiles, the
// channels of the result their rows. What a line sees is transposed once, for all of its taps.
//
// The order of an output's terms is that of convolution.cpp, and so are the bits.
#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/isa/convolution.h"
#include "kernels/cpu/isa/matmul_strip.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

std::int64_t remainder(std::int64_t a, std::int64_t b) { return (a % b + b) % b; }

// Lines of the source, channel by channel: the columns that the first tap sees, as many as whole
// tiles have, and those of the other taps after them. The latest lines are kept.
class Lines {
 public:
  Lines(const Gather& of, float* space) : of_(of), space_(space) {
    for (std::int64_t& line : held_)
      line = -1;
    // What lies outside of the image is the same for all lines.
    __builtin_memset(space, 0, count(of) * of.channels * width(of) * sizeof(float));
  }

  static constexpr std::int64_t most = 32;
  static std::int64_t count(const Gather& of) { return (of.rows.taps - 1) * of.rows.apart + 1; }
  static std::int64_t width(const Gather& of) {
    return pieces(of.columns.count, tile_columns) * tile_columns +
           (of.columns.taps - 1) * of.columns.apart;
  }

  const float* line(std::int64_t image, std::int64_t row) {
    const std::int64_t slot = remainder(row, count(of_)), name = image * of_.height + row;
    float* const to = space_ + slot * of_.channels * width(of_);
    if (held_[slot] != name)
      transpose(static_cast<const float*>(of_.source) + name * of_.width * of_.pitch, to);
    held_[slot] = name;
    return to;
  }

 private:
  void transpose(const float* line, float* to) const {
    const std::int64_t wide = width(of_), offset = of_.columns.offset;
    const std::int64_t begin = smaller(larger(0, -offset), wide);
    const std::int64_t end = larger(begin, smaller(wide, of_.width - offset));
    const float* const from = line + (begin + offset) * of_.pitch;
    const std::int64_t squares = (end - begin) / lanes * lanes;
    const std::int64_t channels = of_.channels / lanes * lanes;
    for (std::int64_t q = 0; q < squares; q += lanes)
      for (std::int64_t channel = 0; channel < channels; channel += lanes)
        transpose_square(from + q * of_.pitch + channel, of_.pitch, to + channel * wide + begin + q,
                         wide);
    for (std::int64_t q = 0; q < end - begin; ++q)
      for (std::int64_t channel = q < squares ? channels : 0; channel < of_.channels; ++channel)
        to[channel * wide + begin + q] = from[q * of_.pitch + channel];
  }

  const Gather& of_;
  float* space_;
  std::int64_t held_[most];
};

// Up to tile_columns neighbouring results of a line, from column on.
void tile_of_line(const PixelProduct& of, const float* const* source, float* result,
                  std::int64_t column, std::int64_t count, std::int64_t channels) {
  const Gather& left = of.left;
  const TileSet& set = tiles_for(count);
  const std::int64_t apart = left.columns.step * of.pitch, wide = Lines::width(left);
  alignas(64) float sums[few_channels * tile_columns] = {}, pixels[tile_columns * few_channels];
  for (std::int64_t i = 0; of.add && i < count; ++i)
    for (std::int64_t c = 0; c < channels; ++c)
      sums[c * tile_columns + i] = result[i * apart + c];
  const float* weights = of.panels;  // [term, tile_columns], of which `channels` are filled
  for (std::int64_t r = 0; r < left.rows.taps; ++r)
    for (std::int64_t t = 0; t < left.columns.taps; ++t, weights += left.channels * tile_columns)
      if (source[r])
        set.by_step[channels - 1](left.channels, weights, tile_columns,
                                  source[r] + column + t * left.columns.apart, wide, sums,
                                  tile_columns, true);
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t c = 0; c < channels; ++c)
      pixels[i * channels + c] = sums[c * tile_columns + i];
  if (of.bias || of.activation != Activation::none)
    finish(of.activation, of.slope, of.bias, count, channels, pixels, channels);
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t c = 0; c < channels; ++c)
      result[i * apart + c] = pixels[i * channels + c];
}

}  // namespace

bool lines_fit(const Gather& of) {
  return Lines::count(of) <= Lines::most && of.rows.taps <= Lines::most &&
         Lines::count(of) * of.channels * Lines::width(of) <= gathered_floats;
}

void lines(const PixelProduct& of, Range pixels, Range channels, float* space) {
  const Gather& left = of.left;
  Lines kept(left, space);
  const std::int64_t length = left.columns.count;
  for (std::int64_t line = pixels.begin / length; line < (pixels.begin + pixels.count) / length;
       ++line) {
    const std::int64_t image = line / left.rows.count, a = line % left.rows.count;
    const float* source[Lines::most];
    for (std::int64_t r = 0; r < left.rows.taps; ++r) {
      const std::int64_t row = a * left.rows.stride + left.rows.offset + r * left.rows.apart;
      source[r] = row >= 0 && row < left.height ? kept.line(image, row) : nullptr;
    }
    float* const result =
        of.result + ((image * of.height + left.rows.first + a * left.rows.step) * of.width +
                     left.columns.first) *
                        of.pitch;
    for (std::int64_t column = 0; column < length; column += tile_columns)
      tile_of_line(of, source, result + column * left.columns.step * of.pitch, column,
                   smaller(tile_columns, length - column), channels.count);
  }
}

}  // namespace likely::kernels::LIKELY_ISA
