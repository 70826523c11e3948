// What products and convolutions share: panels of the right operand, strips of the left one, and a
// strip times a panel. Nothing here touches memory beside what it is told to.
#pragma once
#include "kernels/cpu/isa/matmul_tile.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
inline std::int64_t larger(std::int64_t a, std::int64_t b) { return a < b ? b : a; }
inline std::int64_t pieces(std::int64_t n, std::int64_t piece) { return (n + piece - 1) / piece; }

// Fewer than `lanes` floats, and nothing beside them.
inline void copy_few(float* to, const float* from, std::int64_t n) {
#ifdef __AVX512F__
  const auto mask = static_cast<__mmask16>((1u << n) - 1);
  _mm512_mask_storeu_ps(to, mask, _mm512_maskz_loadu_ps(mask, from));
#else
  if (n >= 4) {
    _mm_storeu_ps(to + n - 4, _mm_loadu_ps(from + n - 4));
    _mm_storeu_ps(to, _mm_loadu_ps(from));
  } else {
    for (std::int64_t i = 0; i < n; ++i)
      to[i] = from[i];
  }
#endif
}

// A copy of n floats that never touches what lies beside them.
inline void copy(float* to, const float* from, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    store(to + i, load(from + i, Vector{}));
  if (i < n)
    copy_few(to + i, from + i, n - i);
}

inline void zero(float* to, std::int64_t n) {
  alignas(64) static constexpr float zeros[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    store(to + i, Vector{});
  if (i < n)
    copy_few(to + i, zeros, n - i);
}

// to[j * to_row + i] = from[i * from_row + j] for a square of lanes: in round r, rows whose numbers
// differ in bit r exchange the lanes whose numbers do.
inline void transpose_square(const float* from, std::int64_t from_row, float* to,
                             std::int64_t to_row) {
  using Values = float __attribute__((vector_size(sizeof(Vector))));
  using Indices = int __attribute__((vector_size(sizeof(Vector))));
  Values x[lanes];
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i)
    x[i] = reinterpret_cast<Values>(load(from + i * from_row, Vector{}));
#pragma GCC unroll 4
  for (int bit = 1; bit < lanes; bit *= 2) {
    Indices first{}, second{};
    for (int l = 0; l < lanes; ++l) {
      first[l] = l & bit ? lanes + l - bit : l;
      second[l] = l & bit ? lanes + l : l + bit;
    }
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      if (i & bit)
        continue;
      const Values a = x[i], b = x[i + bit];
      x[i] = __builtin_shuffle(a, b, first);
      x[i + bit] = __builtin_shuffle(a, b, second);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i)
    store(to + i * to_row, reinterpret_cast<Vector>(x[i]));
}

// n ≤ tile_columns columns of a right operand, k rows, as a panel [k, tile_columns].
inline void pack_panel(const float* from, std::int64_t row, std::int64_t column, std::int64_t k,
                       std::int64_t n, float* to) {
  if (n < tile_columns)  // what the narrower tiles read beside the last columns
    __builtin_memset(to, 0, k * tile_columns * sizeof(float));
  if (column == 1) {
    for (std::int64_t p = 0; p < k; ++p)
      copy(to + p * tile_columns, from + p * row, n);
    return;
  }
  const std::int64_t squares = row == 1 ? n / lanes * lanes : 0;
  const std::int64_t whole = k / lanes * lanes;
  for (std::int64_t j = 0; j < squares; j += lanes) {
    for (std::int64_t p = 0; p < whole; p += lanes)
      transpose_square(from + j * column + p, column, to + p * tile_columns + j, tile_columns);
    for (std::int64_t p = whole; p < k; ++p)
      for (std::int64_t l = j; l < j + lanes; ++l)
        to[p * tile_columns + l] = from[l * column + p];
  }
  for (std::int64_t p = 0; p < k; ++p)
    for (std::int64_t j = squares; j < n; ++j)
      to[p * tile_columns + j] = from[p * row + j * column];
}

// Up to packed_step neighbouring rows of a left operand whose columns are `column` apart.
inline void pack_steps(const float* from, std::int64_t column, std::int64_t rows, std::int64_t k,
                       float* to) {
  for (std::int64_t p = 0; p < k; ++p)
    copy(to + p * packed_step, from + p * column, rows);
}

// A strip of a as the tiles read it.
struct Strip {
  const float* a;
  std::int64_t m, step;
  bool by_step;
  Tile tile(const TileSet& set, std::int64_t rows) const {
    return (by_step ? set.by_step : set.by_row)[rows - 1];
  }
  const float* row(std::int64_t i) const { return a + i * (by_step ? 1 : packed_row); }
};

// A strip times the last panel, which has n < tile_columns columns.
inline void multiply_edge(const Strip& strip, std::int64_t n, std::int64_t k, const float* panel,
                          float* c, std::int64_t c_row, bool carry) {
  const TileSet& set = tiles_for(n);
  const std::int64_t rows = strip.m > set.rows ? pieces(strip.m, 2) : strip.m;
  for (std::int64_t i = 0; i < strip.m; i += rows, c += rows * c_row) {
    const std::int64_t m = smaller(rows, strip.m - i);
    const Tile tile = strip.tile(set, m);
    if (n == set.width) {
      tile(k, strip.row(i), strip.step, panel, tile_columns, c, c_row, carry);
      continue;
    }
    alignas(64) float edge[tile_rows * tile_columns];
    if (carry)
      for (std::int64_t y = 0; y < m; ++y)
        copy(edge + y * tile_columns, c + y * c_row, n);
    tile(k, strip.row(i), strip.step, panel, tile_columns, edge, tile_columns, carry);
    for (std::int64_t y = 0; y < m; ++y)
      copy(c + y * c_row, edge + y * tile_columns, n);
  }
}

// A strip times k rows of n columns of b, which lie in panels or where they are: b_panel further a
// column, b_step further a row. The last columns lie in a panel in any case.
inline void multiply(const Strip& strip, std::int64_t n, std::int64_t k, const float* b,
                     std::int64_t b_panel, std::int64_t b_step, const float* edge, float* c,
                     std::int64_t c_row, bool carry) {
  const std::int64_t whole = n / tile_columns * tile_columns;
  const Tile tile = strip.tile(full_tiles, strip.m);
  for (std::int64_t j = 0; j < whole; j += tile_columns)
    tile(k, strip.a, strip.step, b + j * b_panel, b_step, c + j, c_row, carry);
  if (whole < n)
    multiply_edge(strip, n - whole, k, edge, c + whole, c_row, carry);
}

constexpr std::int64_t strip_floats =
    tile_rows * packed_row > k_block* packed_step ? tile_rows* packed_row : k_block* packed_step;

}  // namespace
}  // namespace likely::kernels::LIKELY_ISA
