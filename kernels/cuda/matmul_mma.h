// Sums by tensor cores, in f32: of bf16, and of f32 rounded to tf32 on the way. A warp has 64 x 64
// outputs, 64 x 32, 32 x 32 or 16 x 32, made of 16 x 8 ones, from fragments of 32 bytes of k.
#pragma once
#include "kernels/cuda/matmul.h"

namespace likely::kernels::cuda {

using Word = std::uint32_t;

LIKELY_DEVICE void multiply_fragments(bf16, float (&d)[4], const Word (&a)[4], const Word (&b)[2]) {
  mma_bf16(d, a, b);
}
LIKELY_DEVICE void multiply_fragments(float, float (&d)[4], const Word (&a)[4],
                                      const Word (&b)[2]) {
  mma_tf32(d, a, b);
}

// Four matrices of 8 rows and 16 bytes of k as the tensor cores take them: from the warp's first
// row and `rows` further, the `step`-th 32 bytes of k. Their order for a: both halves of the rows,
// then the second half of k; for b: both halves of k, then the second half of the rows.
enum class Side { a, b };
template <class T, Side side, Adjacent adjacent, int tile>
LIKELY_DEVICE_SHARED void load_fragment(Word (&r)[4], const Pack<T>* from, int first, int rows,
                                        int step) {
  const auto row_half = [](int matrix) { return side == Side::a ? matrix % 2 : matrix / 2; };
  const auto k_half = [](int matrix) { return side == Side::a ? matrix / 2 : matrix % 2; };
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int y = lane % 8, matrix = lane / 8;  // what this lane points ldmatrix at
  if constexpr (adjacent == Adjacent::k) {
    const int place = place_along_k(first + 8 * row_half(matrix) + y, k_half(matrix));
    ldmatrix_x4(r, &from[further(place, place_along_k(rows, 2 * step))]);
  } else if constexpr (sizeof(T) == 2) {
    const int place =
        place_along_rows<T, tile>(8 * k_half(matrix) + y, first / 8 + row_half(matrix));
    ldmatrix_x4_transposed(r,
                           &from[further(place, place_along_rows<T, tile>(16 * step, rows / 8))]);
  } else {
    const int place = place_along_rows<T, tile>(lane % 4, (first + lane / 4) / 4);
    LIKELY_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int there =
          place_along_rows<T, tile>(8 * step + 4 * k_half(i), rows / 4 + 2 * row_half(i));
      r[i] = __builtin_bit_cast(Word, from[further(place, there)].value[lane / 4 % 4]);
    }
  }
  if constexpr (sizeof(T) == 4) {
    LIKELY_UNROLL
    for (int i = 0; i < 4; ++i)
      r[i] = to_tf32(__builtin_bit_cast(float, r[i]));
  }
}

// A thread's outputs lie in pairs: in each 16 x 8 of the warp's, rows lane / 4 and 8 further,
// columns lane % 4 * 2 and the next.
template <class W>
class MmaSums {
 public:
  static constexpr bool starts_from_c = false;
  using T = typename W::T;

  LIKELY_DEVICE int row() const { return warp_ % 2 * (rows * 16); }  // of the warp
  LIKELY_DEVICE int column() const { return warp_ / 2 * (columns * 8); }

  template <class Problem>
  LIKELY_DEVICE void start(const Problem&, const Corner<W::tile>&) {
    LIKELY_UNROLL
    for (int i = 0; i < rows * columns * 4; ++i)
      sum_[i / 4 / columns][i / 4 % columns][i % 4] = 0;
  }

  LIKELY_DEVICE void multiply(const typename W::Stage& stage, int) {
    LIKELY_UNROLL
    for (int step = 0; step < 2; ++step) {
      Word a[rows][4], b[columns][2];
      LIKELY_UNROLL
      for (int i = 0; i < rows; ++i)
        load_fragment<T, Side::a, W::a, W::tile>(a[i], stage.a, row(), 16 * i, step);
      LIKELY_UNROLL
      for (int j = 0; j < columns; j += 2) {
        Word r[4];
        load_fragment<T, Side::b, W::b, W::tile>(r, stage.b, column(), 8 * j, step);
        b[j][0] = r[0];
        b[j][1] = r[1];
        b[j + 1][0] = r[2];
        b[j + 1][1] = r[3];
      }
      LIKELY_UNROLL
      for (int i = 0; i < rows; ++i) {
        LIKELY_UNROLL
        for (int j = 0; j < columns; ++j)
          multiply_fragments(T(), sum_[i][j], a[i], b[j]);
      }
    }
  }

  template <int slab, int width>
  LIKELY_DEVICE void store(float (&sums)[slab][width], int first) const {
    struct alignas(8) Pair {
      float left, right;
    };
    if (row() / slab != first / slab)
      return;
    LIKELY_UNROLL
    for (int i = 0; i < rows * 2; ++i) {
      LIKELY_UNROLL
      for (int j = 0; j < columns; ++j) {
        const float(&pairs)[4] = sum_[i / 2][j];
        const int y = row() + 8 * i + lane_ / 4, x = column() + 8 * j + lane_ % 4 * 2;
        float* to = &sums[y % slab][sums_column<T>(x)];
        *reinterpret_cast<Pair*>(to) = {pairs[i % 2 * 2], pairs[i % 2 * 2 + 1]};
      }
    }
  }

 private:
  static constexpr int rows = W::tile / 32, columns = W::tile * 8 / W::threads;  // of 16 x 8

  const int lane_ = static_cast<int>(threadIdx.x) % 32, warp_ = static_cast<int>(threadIdx.x) / 32;
  float sum_[rows][columns][4];
};

}  // namespace likely::kernels::cuda
