// The f32 product of one thread: packing, blocks, tiles, and the epilogue.
//
// Every output has one accumulator, to which a(i, p) b(p, j) is added by FMA for p = 0, 1, … k - 1;
// between blocks of p it waits in c. So no bit depends on blocks, tiles, vectors or threads.
#include "kernels/cpu/isa/matmul.h"

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/isa/matmul_tile.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

constexpr std::int64_t right_block = 512 * 1024;  // floats of b packed at once

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
inline std::int64_t larger(std::int64_t a, std::int64_t b) { return a < b ? b : a; }
inline std::int64_t pieces(std::int64_t n, std::int64_t piece) { return (n + piece - 1) / piece; }

// How a product is cut: blocks of k and of n, strips of m; k and m as evenly as possible.
struct Blocks {
  std::int64_t k, n, m;
  // Rows of b are read where they are if few strips would read the packed ones, or a few more and
  // the rows are not so far apart that every one is in another page.
  bool direct;

  explicit Blocks(const Product& of)
      : k(of.k ? pieces(of.k, pieces(of.k, k_block)) : 0),
        n(right_block / larger(k, 1) / tile_columns * tile_columns),
        m(pieces(of.m, pieces(of.m, tile_rows))),
        direct(of.b_column == 1 &&
               (of.m <= 2 * tile_rows || (of.m <= 10 * tile_rows && of.b_row < 1024))) {}

  std::int64_t panels_at_once(std::int64_t n_all) const {
    return direct ? 1 : pieces(smaller(n, n_all), tile_columns);  // direct: the last one, if narrow
  }
};

// A copy of n floats that never touches what lies beside them; no call for the few of a short row.
inline void copy(float* to, const float* from, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    store(to + i, load(from + i, Vector{}));
  if (i < n && n >= lanes)  // the last ones once more, with some before them
    store(to + n - lanes, load(from + n - lanes, Vector{}));
  else
    for (; i < n; ++i)
      to[i] = from[i];
}

// Rows [i0, i0 + m) of a, columns [p0, p0 + k), as a strip.
void pack_strip(const Product& of, std::int64_t i0, std::int64_t m, std::int64_t p0, std::int64_t k,
                float* to) {
  const float* from = of.a + i0 * of.a_row + p0 * of.a_column;
  if (of.a_column == 1) {
    for (std::int64_t i = 0; i < m; ++i)
      copy(to + i * packed_row, from + i * of.a_row, k);
  } else if (of.a_row == 1) {
    const std::int64_t whole = i0 + packed_step <= of.m ? packed_step : m;
    for (std::int64_t p = 0; p < k; ++p)
      copy(to + p * packed_step, from + p * of.a_column, whole);
  } else {
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t p = 0; p < k; ++p)
        to[i * packed_row + p] = from[i * of.a_row + p * of.a_column];
  }
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

// Columns [j0, j0 + n) of b, rows [p0, p0 + k), as a panel [k, tile_columns].
void pack_panel(const Product& of, std::int64_t p0, std::int64_t k, std::int64_t j0, std::int64_t n,
                float* to) {
  const float* from = of.b + p0 * of.b_row + j0 * of.b_column;
  if (n < tile_columns)  // what the narrower tiles read beside the last columns
    __builtin_memset(to, 0, k * tile_columns * sizeof(float));
  if (of.b_column == 1) {
    for (std::int64_t p = 0; p < k; ++p)
      copy(to + p * tile_columns, from + p * of.b_row, n);
    return;
  }
  const std::int64_t squares = of.b_row == 1 ? n / lanes * lanes : 0;
  const std::int64_t whole = k / lanes * lanes;
  for (std::int64_t j = 0; j < squares; j += lanes) {
    for (std::int64_t p = 0; p < whole; p += lanes)
      transpose_square(from + j * of.b_column + p, of.b_column, to + p * tile_columns + j,
                       tile_columns);
    for (std::int64_t p = whole; p < k; ++p)
      for (std::int64_t l = j; l < j + lanes; ++l)
        to[p * tile_columns + l] = from[l * of.b_column + p];
  }
  for (std::int64_t p = 0; p < k; ++p)
    for (std::int64_t j = squares; j < n; ++j)
      to[p * tile_columns + j] = from[p * of.b_row + j * of.b_column];
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
void multiply_edge(const Strip& strip, std::int64_t n, std::int64_t k, const float* panel, float* c,
                   std::int64_t c_row, bool carry) {
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

constexpr std::int64_t strip_floats =
    tile_rows * packed_row > k_block* packed_step ? tile_rows* packed_row : k_block* packed_step;

std::size_t workspace(const Product& of) {
  const Blocks blocks(of);
  return strip_floats + blocks.panels_at_once(of.n) * blocks.k * tile_columns;
}

// Columns [j0, j0 + n) of c, with the terms [p0, p0 + k).
void run_block(const Product& of, const Blocks& blocks, std::int64_t j0, std::int64_t n,
               std::int64_t p0, std::int64_t k, float* space) {
  const bool carry = of.add || p0 > 0, last = p0 + k == of.k;
  const std::int64_t whole = n / tile_columns * tile_columns;
  float* const panels = space + strip_floats;
  for (std::int64_t j = blocks.direct ? whole : 0; j < n; j += tile_columns)
    pack_panel(of, p0, k, j0 + j, smaller(tile_columns, n - j),
               panels + (blocks.direct ? 0 : j * k));
  const float* const b = blocks.direct ? of.b + p0 * of.b_row + j0 : panels;
  const std::int64_t b_panel = blocks.direct ? 1 : k;  // a column further, times the columns
  const std::int64_t b_step = blocks.direct ? of.b_row : tile_columns;
  const float* const edge = blocks.direct ? panels : panels + whole * k;

  const bool by_step = of.a_row == 1 && of.a_column != 1;
  for (std::int64_t i = 0; i < of.m; i += blocks.m) {
    const Strip strip{space, smaller(blocks.m, of.m - i), by_step ? packed_step : 1, by_step};
    pack_strip(of, i, strip.m, p0, k, space);
    const Tile tile = strip.tile(full_tiles, strip.m);
    float* const c = of.c + i * of.c_row + j0;
    for (std::int64_t j = 0; j < whole; j += tile_columns)
      tile(k, space, strip.step, b + j * b_panel, b_step, c + j, of.c_row, carry);
    if (whole < n)
      multiply_edge(strip, n - whole, k, edge, c + whole, of.c_row, carry);
    if (last && (of.bias || of.activation != Activation::none))
      finish(of.activation, of.slope, of.bias ? of.bias + j0 : nullptr, strip.m, n, c, of.c_row);
  }
}

void run(const Product& of, float* space) {
  const Blocks blocks(of);
  for (std::int64_t j0 = 0; j0 < of.n; j0 += blocks.n) {
    const std::int64_t n = smaller(blocks.n, of.n - j0);
    std::int64_t p0 = 0;
    do {  // once where there are no terms: bias and activation remain
      const std::int64_t k = smaller(blocks.k, of.k - p0);
      run_block(of, blocks, j0, n, p0, k, space);
      p0 += k;
    } while (p0 < of.k);
  }
}

}  // namespace

const ProductTable product_table{tile_columns, workspace, run};

}  // namespace likely::kernels::LIKELY_ISA
