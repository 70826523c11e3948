// The innermost loop of the f32 product: a tile of outputs held in registers over a block of k.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace likely::kernels::LIKELY_ISA {
namespace {

using Half = __m256;
inline Half load(const float* p, Half) { return _mm256_loadu_ps(p); }
inline Half broadcast(const float* p, Half) { return _mm256_broadcast_ss(p); }
inline Half fma(Half a, Half b, Half c) { return _mm256_fmadd_ps(a, b, c); }
inline void store(float* p, Half x) { _mm256_storeu_ps(p, x); }

#ifdef __AVX512F__
using Vector = __m512;
inline Vector load(const float* p, Vector) { return _mm512_loadu_ps(p); }
inline Vector broadcast(const float* p, Vector) { return _mm512_set1_ps(*p); }
inline Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
inline void store(float* p, Vector x) { _mm512_storeu_ps(p, x); }
constexpr int tile_rows = 14;  // 28 sums, 2 vectors of b and one value of a: 31 of 32 registers
#else
using Vector = Half;
constexpr int tile_rows = 6;  // 12 sums, 2 and 1: 15 of 16
#endif
constexpr int lanes = sizeof(Vector) / sizeof(float);
constexpr int tile_columns = 2 * lanes;

// The left operand comes in strips of tile_rows rows, rows apart by packed_row (which is no power
// of two, lest all fall into one set of the cache) or, where it is stored transposed, by 1.
constexpr std::int64_t k_block = 512;
constexpr std::int64_t packed_row = k_block + 8;
constexpr std::int64_t packed_step = (tile_rows + 7) / 8 * 8;

// c [rows, width] = (carry ? c : 0) + Σ_p a(·, p) b(p, ·). a(i, p) lies at a[i * row + p * a_step],
// where `row` is a constant of the tile; b(p, ·) at b[p * b_step].
using Tile = void (*)(std::int64_t k, const float* a, std::int64_t a_step, const float* b,
                      std::int64_t b_step, float* c, std::int64_t c_row, bool carry);

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

// The tiles of one width, for 1, 2, … `rows` rows.
struct TileSet {
  int width, rows;
  Tile by_row[tile_rows];   // a as packed: rows apart by packed_row
  Tile by_step[tile_rows];  // a transposed: rows adjacent
};

template <class V, int Vectors, int... Rows>
constexpr TileSet tiles_of() {
  return {Vectors * static_cast<int>(sizeof(V) / sizeof(float)),
          sizeof...(Rows),
          {tile<V, Vectors, Rows, packed_row>...},
          {tile<V, Vectors, Rows, 1>...}};
}

// Narrowest first; the last one is the full tile.
constexpr TileSet tile_sets[] = {
#ifdef __AVX512F__
    tiles_of<Vector, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(),
    tiles_of<Half, 3, 1, 2, 3, 4, 5, 6, 7>(),
    tiles_of<Vector, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(),
#else
    tiles_of<Vector, 1, 1, 2, 3, 4, 5, 6>(),
    tiles_of<Vector, 2, 1, 2, 3, 4, 5, 6>(),
#endif
};

constexpr const TileSet& full_tiles = tile_sets[sizeof(tile_sets) / sizeof(TileSet) - 1];

inline const TileSet& tiles_for(std::int64_t columns) {
  const TileSet* set = tile_sets;
  while (set->width < columns && set->width < tile_columns)
    ++set;
  return *set;
}

}  // namespace
}  // namespace likely::kernels::LIKELY_ISA
