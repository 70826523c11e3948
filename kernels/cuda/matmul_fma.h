// Sums by FMA, in f32: one accumulator an output, which takes k in ascending order. A thread keeps
// 8 x 8, 8 x 4 or 4 x 4 outputs in registers.
#pragma once
#include "kernels/cuda/matmul.h"

namespace likely::kernels::cuda {

// A thread's rows of a stage at four k: row i is 4 first + i % 4 + i / 4 * apart. A pack has four k
// of one row, or four rows at one k.
template <Adjacent adjacent, int rows, int apart, int tile>
class Fragment {
 public:
  LIKELY_DEVICE Fragment(const Pack<float>* from, int first, int k) {
    const int place =
        along_k ? place_along_k(4 * first, k / 4) : place_along_rows<float, tile>(k, first);
    LIKELY_UNROLL
    for (int i = 0; i < rows; ++i) {
      const int there = along_k ? place_along_k(i % 4 + i / 4 * apart, 0)
                                : place_along_rows<float, tile>(i % 4, i / 4 * (apart / 4));
      pack_[i] = load16(from[further(place, there)].value);
    }
  }
  LIKELY_DEVICE float at(int i, int step) const {
    return along_k ? pack_[i].value[step] : pack_[i / 4 * 4 + step].value[i % 4];
  }

 private:
  static constexpr bool along_k = adjacent == Adjacent::k;
  Pack<float> pack_[rows];
};

// A thread's outputs: squares of 4 x 4, as far apart as the threads' squares reach. A warp is 4 x 8
// threads.
template <class W>
class FmaSums {
 public:
  static constexpr bool starts_from_c = true;

  LIKELY_DEVICE int row(int i = 0) const { return i / 4 * (4 * down) + y_ * 4 + i % 4; }
  LIKELY_DEVICE int column(int j = 0) const { return j / 4 * (4 * across) + x_ * 4 + j % 4; }

  template <class Problem>
  LIKELY_DEVICE void start(const Problem& p, const Corner<W::tile>& corner) {
    LIKELY_UNROLL
    for (int i = 0; i < rows; ++i) {
      LIKELY_UNROLL
      for (int j = 0; j < columns; ++j)
        sum_[i][j] = 0;
    }
    if (!p.add)
      return;
    LIKELY_UNROLL
    for (int i = 0; i < rows; ++i) {
      LIKELY_UNROLL
      for (int j = 0; j < columns; ++j) {
        const std::int64_t y = corner.row() + row(i), x = corner.column() + column(j);
        if (y < rows_of(p) && x < p.n)
          sum_[i][j] = row_of<float>(p, y)[x];
      }
    }
  }

  LIKELY_DEVICE void multiply(const typename W::Stage& stage, int k_left) {
    for (int k = 0; k < k_left; k += 4) {
      const Fragment<W::a, rows, 4 * down, W::tile> left(stage.a, y_, k);
      const Fragment<W::b, columns, 4 * across, W::tile> right(stage.b, x_, k);
      LIKELY_UNROLL
      for (int j = 0; j < columns; ++j) {
        LIKELY_UNROLL
        for (int step = 0; step < 4; ++step) {
          LIKELY_UNROLL
          for (int i = 0; i < rows; ++i)
            sum_[i][j] = multiply_add(left.at(i, step), right.at(j, step), sum_[i][j]);
        }
      }
    }
  }

  template <int slab, int width>
  LIKELY_DEVICE void store(float (&sums)[slab][width], int first) const {
    LIKELY_UNROLL
    for (int i = 0; i < rows; ++i) {
      if (i / 4 * (4 * down) / slab != first / slab)
        continue;
      LIKELY_UNROLL
      for (int j = 0; j < columns; j += 4)
        store16(&sums[row(i) % slab][column(j)],
                Pack<float>{{sum_[i][j], sum_[i][j + 1], sum_[i][j + 2], sum_[i][j + 3]}});
    }
  }

 private:
  static constexpr int rows = W::tile < 64 ? 4 : 8, columns = W::tile < 128 ? 4 : 8;
  static constexpr int down = W::tile / rows, across = W::tile / columns;  // threads
  static_assert(down * across == W::threads);

  const int lane_ = static_cast<int>(threadIdx.x) % 32, warp_ = static_cast<int>(threadIdx.x) / 32;
  const int y_ = warp_ / (across / 8) * 4 + lane_ / 8, x_ = warp_ % (across / 8) * 8 + lane_ % 8;
  float sum_[rows][columns];
};

}  // namespace likely::kernels::cuda
