// Convolutions as tiled products: how tiles of pixels are gathered into shared memory.
#pragma once
#include "kernels/convolution.h"
#include "kernels/convolution_gather.h"
#include "kernels/cuda/matmul.h"

namespace likely::kernels::cuda {

// ---- Problems beside that of matmul

// Pixels of the result that see the other image alike, and their weights [n, k], row after row.
struct Phase {
  Gather gather;
  std::int64_t pixels;
  const void* weights;
};

// A pixel of the result a row, of one phase for every z; m and k are the most that one has. `c` is
// the result from its first pixel on, c_row its channels.
struct PixelsProblem : MatmulProblem {
  static constexpr int most_phases = 4;  // of a stride of 2, at once
  Phase phases[most_phases];
  std::int64_t height, width;  // of the result
};
LIKELY_DEVICE const Phase& phase_of(const PixelsProblem& p) { return p.phases[blockIdx.z]; }
LIKELY_DEVICE std::int64_t rows_of(const PixelsProblem& p) { return phase_of(p).pixels; }
LIKELY_DEVICE bool has_row(const PixelsProblem& p, std::int64_t row) { return row < rows_of(p); }
LIKELY_DEVICE std::int64_t terms_of(const PixelsProblem& p) { return phase_of(p).gather.length(); }

// An output channel a row: gradients [pixels, m] times what each pixel sees, [pixels, n]. A share
// of the pixels for every z, with a result [m, n] in f32 of its own.
struct WeightsProblem : MatmulProblem {
  Gather gather;
  std::int64_t pixels, share;
};

LIKELY_DEVICE std::int64_t terms_of(const WeightsProblem& p) {
  const std::int64_t left = p.pixels - blockIdx.z * p.share;
  return left < p.share ? (left < 0 ? 0 : left) : p.share;
}

struct PlaceOfPixel {
  int image, row, column;
};
LIKELY_DEVICE PlaceOfPixel place_of(const Gather& of, std::int64_t pixel) {
  const auto index = static_cast<unsigned>(pixel);  // fewer than 2^30
  const auto columns = static_cast<unsigned>(of.columns.count);
  const auto rows = static_cast<unsigned>(of.rows.count);
  const unsigned above = index / columns;
  return {static_cast<int>(above / rows), static_cast<int>(above % rows),
          static_cast<int>(index % columns)};
}

template <class T>
LIKELY_DEVICE T* row_of(const PixelsProblem& p, std::int64_t pixel) {
  const Gather& gather = phase_of(p).gather;
  const PlaceOfPixel place = place_of(gather, pixel);
  const std::int64_t row = gather.rows.first + place.row * gather.rows.step;
  const std::int64_t column = gather.columns.first + place.column * gather.columns.step;
  return static_cast<T*>(p.c) + ((place.image * p.height + row) * p.width + column) * p.c_row;
}

// ---- Readers

constexpr int most_taps = 16;  // along an axis

LIKELY_DEVICE unsigned taps_inside(const GatherAxis& axis, int place, std::int64_t extent) {
  unsigned inside = 0;
  for (int tap = 0; tap < axis.taps; ++tap, place += static_cast<int>(axis.apart))
    inside |= static_cast<unsigned>(place >= 0 && place < extent) << tap;
  return inside;
}

// What a pixel sees: where its first tap lies, and which rows and columns of taps lie inside, a bit
// each. Images have fewer than 2^30 elements.
struct Sight {
  int offset;
  unsigned inside;

  Sight() = default;
  LIKELY_DEVICE Sight(const Gather& of, int pixel, bool exists) {
    const PlaceOfPixel place = place_of(of, pixel);
    const int row = place.row * static_cast<int>(of.rows.stride) + static_cast<int>(of.rows.offset);
    const int column =
        place.column * static_cast<int>(of.columns.stride) + static_cast<int>(of.columns.offset);
    const int line = place.image * static_cast<int>(of.height) + row;
    offset = (line * static_cast<int>(of.width) + column) * static_cast<int>(of.pitch);
    inside = exists ? taps_inside(of.rows, row, of.height) |
                          taps_inside(of.columns, column, of.width) << most_taps
                    : 0;
  }
};

// One of the terms that pixels see: a channel by a tap.
struct Term {
  int row, column, channel;

  LIKELY_DEVICE Term(const Gather& of, std::int64_t term) {
    const auto index = static_cast<unsigned>(term), channels = static_cast<unsigned>(of.channels);
    const auto taps = static_cast<unsigned>(of.columns.taps > 0 ? of.columns.taps : 1);
    channel = static_cast<int>(index % channels);
    column = static_cast<int>(index / channels % taps);
    row = static_cast<int>(index / channels / taps);
  }
  LIKELY_DEVICE void advance(const Gather& of, int by) {
    channel += by;
    while (channel >= of.channels) {
      channel -= static_cast<int>(of.channels);
      if (++column == of.columns.taps) {
        column = 0;
        ++row;
      }
    }
  }
  // Elements from a pixel's first tap to here.
  LIKELY_DEVICE int offset(const Gather& of) const {
    const int down = row * static_cast<int>(of.rows.apart);
    const int across = column * static_cast<int>(of.columns.apart);
    return (down * static_cast<int>(of.width) + across) * static_cast<int>(of.pitch) + channel;
  }
  LIKELY_DEVICE bool seen(const Sight& from) const {
    return (from.inside >> row & from.inside >> (most_taps + column) & 1) != 0;
  }
};

// Rows of pixels, whose terms run along k, by packs of channels or single elements. What lies
// outside becomes 0.
template <class T, int rows, int threads, bool packs>
class PixelReader {
 public:
  LIKELY_DEVICE PixelReader(const Gather& of, std::int64_t first, std::int64_t end)
      : of_(of), term_(of, k()) {
    LIKELY_UNROLL
    for (int i = 0; i < count; ++i) {
      const std::int64_t pixel = first + line() + i * lines;
      sight_[i] = Sight(of, static_cast<int>(pixel), pixel < end);
    }
  }

  LIKELY_DEVICE_SHARED void next_stage(Pack<T>* tile, int k_left) {
    const int offset = term_.offset(of_);
    const T* const source = static_cast<const T*>(of_.source);
    T values[count];
    LIKELY_UNROLL
    for (int i = 0; i < count; ++i) {
      const bool seen = k() < k_left && term_.seen(sight_[i]);
      if constexpr (packs)
        cp_async16(&tile[further(place_along_k(line(), k() / size), place_along_k(i * lines, 0))],
                   source + (sight_[i].offset + offset), seen);
      else
        values[i] = seen ? source[sight_[i].offset + offset] : T(0.0f);
    }
    LIKELY_UNROLL
    for (int i = 0; !packs && i < count; ++i)
      tile[place_along_k(line() + i * lines, k() / size)].value[k() % size] = values[i];
    term_.advance(of_, tile_k<T>);
  }

 private:
  static constexpr int size = Pack<T>::size, across = packs ? 4 : tile_k<T>;
  static constexpr int lines = threads / across, count = rows / lines;
  LIKELY_DEVICE static int line() { return static_cast<int>(threadIdx.x) / across; }
  LIKELY_DEVICE static int k() {
    return static_cast<int>(threadIdx.x) % across * (packs ? size : 1);
  }

  const Gather& of_;
  Term term_;  // of this thread's k in the stage
  Sight sight_[count];
};

// Pixels along k, whose terms are the rows.
template <class T, int rows, int threads, bool packs>
class TermReader {
 public:
  LIKELY_DEVICE TermReader(const Gather& of, std::int64_t first, int pixel)
      : of_(of), term_(of, first + row()), exists_(first + row() < of.length()), pixel_(pixel) {
    down_ = static_cast<int>(of.rows.offset + term_.row * of.rows.apart);
    across_ = static_cast<int>(of.columns.offset + term_.column * of.columns.apart);
  }

  LIKELY_DEVICE_SHARED void next_stage(Pack<T>* tile, int k_left) {
    const T* const source = static_cast<const T*>(of_.source) + term_.channel;
    T values[count];
    LIKELY_UNROLL
    for (int i = 0; i < count; ++i) {
      const int k = line() + i * lines;
      const PlaceOfPixel place = place_of(of_, pixel_ + k);
      const int y = place.row * static_cast<int>(of_.rows.stride) + down_;
      const int x = place.column * static_cast<int>(of_.columns.stride) + across_;
      const int pixel =
          (place.image * static_cast<int>(of_.height) + y) * static_cast<int>(of_.width) + x;
      const T* const from = source + pixel * static_cast<int>(of_.pitch);
      const bool seen =
          exists_ && k < k_left && y >= 0 && y < of_.height && x >= 0 && x < of_.width;
      if constexpr (packs)
        cp_async16(&tile[further(place_along_rows<T, rows>(line(), row() / size),
                                 place_along_rows<T, rows>(i * lines, 0))],
                   from, seen);
      else
        values[i] = seen ? *from : T(0.0f);
    }
    LIKELY_UNROLL
    for (int i = 0; !packs && i < count; ++i) {
      const int k = line() + i * lines;
      tile[place_along_k(row(), k / size)].value[k % size] = values[i];
    }
    pixel_ += tile_k<T>;
  }

 private:
  static constexpr int size = Pack<T>::size, across = packs ? rows / size : rows;
  static constexpr int lines = threads / across, count = tile_k<T> / lines;
  LIKELY_DEVICE static int line() { return static_cast<int>(threadIdx.x) / across; }
  LIKELY_DEVICE static int row() {
    return static_cast<int>(threadIdx.x) % across * (packs ? size : 1);
  }

  const Gather& of_;
  Term term_;  // of this thread's rows
  bool exists_;
  int pixel_, down_, across_;
};

template <class W>
LIKELY_DEVICE auto left_reader(const PixelsProblem& p, std::int64_t row) {
  return PixelReader<typename W::T, W::tile, W::threads, W::packs>(phase_of(p).gather, row,
                                                                   rows_of(p));
}
template <class W>
LIKELY_DEVICE auto right_reader(const PixelsProblem& p, std::int64_t column) {
  using T = typename W::T;
  const std::int64_t length = terms_of(p);
  const int columns = p.n - column < W::tile ? static_cast<int>(p.n - column) : W::tile;
  const T* from = static_cast<const T*>(phase_of(p).weights) + column * length;
  return reader<W, W::b>(Operand<T>{from, length, 1, columns}, 0.0f);
}
template <class W>
LIKELY_DEVICE auto left_reader(const WeightsProblem& p, std::int64_t row) {
  using T = typename W::T;
  const T* from = static_cast<const T*>(p.a) + blockIdx.z * p.share * p.a_column + row;
  const int rows = p.m - row < W::tile ? static_cast<int>(p.m - row) : W::tile;
  return reader<W, W::a>(Operand<T>{from, 1, p.a_column, rows}, -0.0f);
}
template <class W>
LIKELY_DEVICE auto right_reader(const WeightsProblem& p, std::int64_t column) {
  return TermReader<typename W::T, W::tile, W::threads, W::packs>(
      p.gather, column, static_cast<int>(blockIdx.z * p.share));
}

// ---- Launching

// The tiled convolutions: f32 by FMA; tf32 and bf16 by tensor cores. Nothing is done, and false
// returned, where no variant is usable.
struct Tiling {
  int tile;
  bool packs;
};
bool convolution_f32(const PixelsProblem& problem, const Tiling& tiling);
bool convolution_f32(const WeightsProblem& problem, const Tiling& tiling);
bool convolution_tf32(const PixelsProblem& problem, const Tiling& tiling);
bool convolution_tf32(const WeightsProblem& problem, const Tiling& tiling);
bool convolution_bf16(const PixelsProblem& problem, const Tiling& tiling);
bool convolution_bf16(const WeightsProblem& problem, const Tiling& tiling);

// Few channels, of whose weights there are so many each.
bool narrow_serves(std::int64_t channels, std::int64_t terms);
bool convolution_narrow(const PixelsProblem& problem, bool tf32, bool packs);

// A thread an output, any problem.
void convolution_plain(const ConvolutionProblem& problem);

template <class W, class Sums, class Result, class Problem>
void launch_convolution(const Variant& variant, const Problem& p) {
  const std::int64_t tiles = quotient_up(p.m, W::tile) * quotient_up(p.n, W::tile);
  launch(variant, tiled<W, Sums, Problem, Result>,
         Grid{dim3(static_cast<unsigned>(tiles), 1, static_cast<unsigned>(p.batch)), W::threads,
              sizeof(typename W::Memory)},
         p);
}

// By tiles of 128 or 64 in packs (of pixels in f32 and tf32 of 32 too), or of 64 by elements. Way:
// <tile, Adjacent of both, packs>. `adjacent` is how the operands of packs lie; `to_float`: the
// result is f32.
template <template <int, Adjacent, Adjacent, bool> class Way, template <class> class Sums,
          Adjacent adjacent, bool to_float, class Problem>
bool launch_tiles(std::span<const TileVariant> variants, const Problem& p, const Tiling& tiling) {
  const TileVariant* const tile = usable_tile(variants, tiling.tile, tiling.packs);
  const auto launch_way = [&]<class W>(Type<W>) {
    using Result = std::conditional_t<to_float, float, typename W::T>;
    launch_convolution<W, Sums<W>, Result>(tile->variant, p);
  };
  if (!tile)
    return false;
  if (!tile->packs)
    launch_way(Type<Way<64, Adjacent::k, Adjacent::k, false>>());
  else if (tile->side == 128)
    launch_way(Type<Way<128, adjacent, adjacent, true>>());
  else if (tile->side == 64)
    launch_way(Type<Way<64, adjacent, adjacent, true>>());
  else if constexpr (std::is_same_v<Problem, PixelsProblem> &&
                     sizeof(typename Way<64, adjacent, adjacent, true>::T) == 4)
    launch_way(Type<Way<32, adjacent, adjacent, true>>());
  return true;
}
template <template <int, Adjacent, Adjacent, bool> class Way, template <class> class Sums>
bool launch_pixels(std::span<const TileVariant> variants, const PixelsProblem& p,
                   const Tiling& tiling) {
  return launch_tiles<Way, Sums, Adjacent::k, false>(variants, p, tiling);
}
template <template <int, Adjacent, Adjacent, bool> class Way, template <class> class Sums>
bool launch_weights(std::span<const TileVariant> variants, const WeightsProblem& p,
                    const Tiling& tiling) {
  return launch_tiles<Way, Sums, Adjacent::rows, true>(variants, p, tiling);
}

}  // namespace likely::kernels::cuda
