// Tiles of matmul's operands in shared memory: how they lie there, how they come from global
// memory, and which tile of the result a block computes. The same for all products.
//
// A tile holds the rows of a (columns of b) that a block needs, for 64 bytes of k: four packs of 16
// bytes a row. In global memory k or the rows are adjacent, and the tile keeps that order.
// Wherever packs lie, their low three bits of place (the banks) differ among any eight that are
// read or written together.
#pragma once
#include "kernels/cuda/device.h"
#include "kernels/matmul.h"

namespace likely::kernels::cuda {

enum class Adjacent { k, rows };

template <class T>
constexpr int tile_k = 64 / sizeof(T);

// Where pack `pack` of row `row` lies: k runs along packs. Eight rows one after the other, or every
// fourth of 32, are read together.
LIKELY_DEVICE constexpr int place_along_k(int row, int pack) {
  const int line = row / 2;  // of 128 bytes: once over all banks
  return line * 8 + ((row % 2 * 4 + pack) ^ ((line ^ (line >> 3)) & 7));
}

// Where pack `pack` of the rows at k = `k` lies: rows run along packs. Read together are eight k
// (bf16, by ldmatrix), four k of two packs (tf32), or eight packs (f32).
template <class T, int rows>
LIKELY_DEVICE constexpr int place_along_rows(int k, int pack) {
  const int swizzle = sizeof(T) == 2 ? k & 7 : (k & 3) * 2;
  return k * (rows * static_cast<int>(sizeof(T)) / 16) + (pack ^ swizzle);
}

// Both are linear in the bits of their arguments. So where a thread's row, k and pack have no bit
// in common with `further` ones, that are known when this is compiled, the place of their sums
// takes one exclusive or, which many share, and an offset.
LIKELY_DEVICE int further(int place, int further) {
  return (place ^ (further & 7)) + (further & ~7);
}

// One operand of a block: `rows` rows of it from an element on, and all k.
template <class T>
struct Operand {
  const T* from;
  std::int64_t row_step, k_step;
  int rows;
};

// What a thread copies of an operand, stage after stage, 16 bytes at a time, asynchronously: one of
// the steps is 1, the other below longest_step, that and the number of adjacent elements multiples
// of a pack, and so is the address. What is not there becomes 0.
constexpr std::int64_t longest_step = 1 << 23;  // 128 of them fit into an int
template <class T, Adjacent adjacent, int rows, int threads>
class PackReader {
 public:
  LIKELY_DEVICE explicit PackReader(const Operand<T>& operand)
      : from_(operand.from),
        line_step_(static_cast<int>(along_k ? operand.row_step : operand.k_step)),
        first_(pack() * size + line() * line_step_),
        rows_(operand.rows) {}

  LIKELY_DEVICE_SHARED void next_stage(Pack<T>* tile, int k_left) {
    LIKELY_UNROLL
    for (int i = 0; i < rows * 4 / threads; ++i) {
      const int place = along_k
                            ? further(place_along_k(line(), pack()), place_along_k(i * lines, 0))
                            : further(place_along_rows<T, rows>(line(), pack()),
                                      place_along_rows<T, rows>(i * lines, 0));
      const int row = along_k ? line() + i * lines : pack() * size;
      const int k = along_k ? pack() * size : line() + i * lines;
      cp_async16(&tile[place], from_ + (first_ + i * lines * line_step_),
                 row < rows_ && k < k_left);
    }
    from_ += tile_k<T> * (along_k ? 1 : line_step_);
  }

 private:
  static constexpr bool along_k = adjacent == Adjacent::k;
  static constexpr int size = Pack<T>::size;
  static constexpr int across = along_k ? 4 : rows / size;  // packs of a line
  static constexpr int lines = threads / across;            // at once
  LIKELY_DEVICE static int pack() { return static_cast<int>(threadIdx.x) % across; }
  LIKELY_DEVICE static int line() { return static_cast<int>(threadIdx.x) / across; }

  const T* from_;  // the block's first element of the stage
  int line_step_;
  int first_;  // from there to this thread's first pack
  int rows_;
};

// The same by single elements, any steps, into the order of Adjacent::k. Neighbouring threads read
// along the smaller step. What is not there becomes `padding`.
template <class T, int rows, int threads>
class ElementReader {
 public:
  LIKELY_DEVICE ElementReader(const Operand<T>& operand, T padding)
      : operand_(operand), padding_(padding) {
    const int thread = static_cast<int>(threadIdx.x);
    const bool along_k = operand.k_step == 1 || operand.row_step != 1;
    row_ = along_k ? thread / depth : thread % rows;
    k_ = along_k ? thread % depth : thread / rows;
    rows_on_ = along_k ? threads / depth : 0;
    k_on_ = along_k ? 0 : threads / rows;
    operand_.from += row_ * operand.row_step + k_ * operand.k_step;
  }

  LIKELY_DEVICE_SHARED void next_stage(Pack<T>* tile, int k_left) {
    const std::int64_t step = rows_on_ * operand_.row_step + k_on_ * operand_.k_step;
    const T* from = operand_.from;
    T values[count];
    LIKELY_UNROLL
    for (int i = 0; i < count; ++i, from += step)
      values[i] = row_ + i * rows_on_ < operand_.rows && k_ + i * k_on_ < k_left ? *from : padding_;
    LIKELY_UNROLL
    for (int i = 0; i < count; ++i) {
      const int row = row_ + i * rows_on_, k = k_ + i * k_on_;
      tile[place_along_k(row, k / size)].value[k % size] = values[i];
    }
    operand_.from += depth * operand_.k_step;
  }

 private:
  static constexpr int size = Pack<T>::size, depth = tile_k<T>, count = rows * depth / threads;

  Operand<T> operand_;  // from this thread's first element of the stage
  T padding_;
  int row_, k_, rows_on_, k_on_;  // the first element, and how far on the next is
};

// The tile of c that a block computes. Blocks that run at the same time share eight rows of tiles,
// so that they find their operands in the cache.
template <int tile>
struct Corner {
  unsigned down, across;  // in tiles

  LIKELY_DEVICE Corner(std::int64_t rows, std::int64_t columns) {
    const auto all_down = static_cast<unsigned>(quotient_up(rows, tile));
    const auto all_across = static_cast<unsigned>(quotient_up(columns, tile));
    const unsigned first = blockIdx.x / (8 * all_across) * 8, place = blockIdx.x % (8 * all_across);
    const unsigned left = first < all_down ? all_down - first : 1;  // not there, but not 0 either
    const unsigned height = left < 8 ? left : 8;
    down = first + place % height;
    across = place / height;
  }
  LIKELY_DEVICE std::int64_t row() const { return static_cast<std::int64_t>(down) * tile; }
  LIKELY_DEVICE std::int64_t column() const { return static_cast<std::int64_t>(across) * tile; }
};

}  // namespace likely::kernels::cuda
