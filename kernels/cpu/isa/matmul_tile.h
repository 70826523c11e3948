// The innermost loop of the f32 product: a tile of outputs held in registers over a block of k, and
// the vectors that it computes with.
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

}  // namespace

// c [rows, width] = (carry ? c : 0) + Σ_p a(·, p) b(p, ·). a(i, p) lies at a[i * row + p * a_step],
// where `row` is a constant of the tile; b(p, ·) at b[p * b_step].
using Tile = void (*)(std::int64_t k, const float* a, std::int64_t a_step, const float* b,
                      std::int64_t b_step, float* c, std::int64_t c_row, bool carry);

// The tiles of one width, for 1, 2, … `rows` rows.
struct TileSet {
  int width, rows;
  Tile by_row[tile_rows];   // a as packed: rows apart by packed_row
  Tile by_step[tile_rows];  // a transposed: rows adjacent
};

extern const TileSet tile_sets[];  // narrowest first; the last one is the full tile
extern const TileSet& full_tiles;

inline const TileSet& tiles_for(std::int64_t columns) {
  const TileSet* set = tile_sets;
  while (set->width < columns && set->width < tile_columns)
    ++set;
  return *set;
}

}  // namespace likely::kernels::LIKELY_ISA
