#include "kernels/cpu/isa/matmul_tile.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

template <class V, int Vectors, int Rows, std::int64_t Row>
void tile(std::int64_t k, const float* a, std::int64_t a_step, const float* b, std::int64_t b_step,
          float* c, std::int64_t c_row, bool carry) {
  constexpr int width = sizeof(V) / sizeof(float);
  V sum[Rows][Vectors]{};
  if (carry) {
    const float* row = c;
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i, row += c_row)
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) {
        sum[i][j] = load(row + j * width, V{});
        __builtin_prefetch(row + (Vectors + j) * width, 1);  // what the tile beside starts from
      }
  }
  for (std::int64_t p = 0; p < k; ++p) {
    V right[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j)
      right[j] = load(b + j * width, V{});
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; j += 16 / width)
      __builtin_prefetch(b + 16 * b_step + j * width);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const V left = broadcast(a + i * Row, V{});
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j)
        sum[i][j] = fma(left, right[j], sum[i][j]);
    }
    a += a_step;
    b += b_step;
  }
  asm("" : "+r"(c));  // or the compiler holds the addresses of all rows, spilt, through the loop
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i, c += c_row)
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j)
      store(c + j * width, sum[i][j]);
}

template <class V, int Vectors, int... Rows>
constexpr TileSet tiles_of() {
  return {Vectors * static_cast<int>(sizeof(V) / sizeof(float)),
          sizeof...(Rows),
          {tile<V, Vectors, Rows, packed_row>...},
          {tile<V, Vectors, Rows, 1>...}};
}

}  // namespace

constinit const TileSet tile_sets[] = {
#ifdef __AVX512F__
    tiles_of<Vector, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(),
    tiles_of<Half, 3, 1, 2, 3, 4, 5, 6, 7>(),
    tiles_of<Vector, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(),
#else
    tiles_of<Vector, 1, 1, 2, 3, 4, 5, 6>(),
    tiles_of<Vector, 2, 1, 2, 3, 4, 5, 6>(),
#endif
};

constinit const TileSet& full_tiles = tile_sets[sizeof(tile_sets) / sizeof(TileSet) - 1];

}  // namespace likely::kernels::LIKELY_ISA
