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
inline std::int64_t pieces(std::int64_t n, std::int64_t piece) { return (n + piece - 1) / piece; }
inline std::int64_t rounded(std::int64_t n, std::int64_t to) { return pieces(n, to) * to; }

// How a product is cut: blocks of k and of n, strips of m, all as even as possible.
struct Blocks {
  std::int64_t k, n, m;
  explicit Blocks(std::int64_t m_all, std::int64_t n_all, std::int64_t k_all)
      : k(k_all ? pieces(k_all, pieces(k_all, k_block)) : 0),
        n(smaller(rounded(n_all, tile_columns),
                  right_block / (k ? k : 1) / tile_columns * tile_columns)),
        m(pieces(m_all, pieces(m_all, tile_rows))) {}
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
  std::int64_t squares = of.b_row == 1 ? n / lanes * lanes : 0, whole = k / lanes * lanes;
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

std::size_t workspace(std::int64_t m, std::int64_t n, std::int64_t k) {
  const Blocks blocks(m, n, k);
  return strip_floats + blocks.k * blocks.n;
}

void run(const Product& of, float* space) {
  const Blocks blocks(of.m, of.n, of.k);
  float* const packed = space;
  float* const panels = space + strip_floats;
  const bool by_step = of.a_row == 1 && of.a_column != 1;
  // Rows of b are read where they are if few strips would read the packed ones, or a few more and
  // the rows are not so far apart that every one is in another page.
  const bool direct =
      of.b_column == 1 && (of.m <= 2 * tile_rows || (of.m <= 10 * tile_rows && of.b_row < 1024));
  const bool finishes = of.bias || of.activation != Activation::none;
  for (std::int64_t j0 = 0; j0 < of.n; j0 += blocks.n) {
    const std::int64_t n = smaller(blocks.n, of.n - j0), whole = n / tile_columns * tile_columns;
    std::int64_t p0 = 0;
    do {
      const std::int64_t k = smaller(blocks.k, of.k - p0);
      const bool carry = of.add || p0 > 0, last = p0 + k == of.k;
      for (std::int64_t j = direct ? whole : 0; j < n; j += tile_columns)
        pack_panel(of, p0, k, j0 + j, smaller(tile_columns, n - j), panels + j * k);
      const float* b = direct ? of.b + p0 * of.b_row + j0 : panels;
      const std::int64_t b_panel = direct ? tile_columns : tile_columns * k;
      const std::int64_t b_step = direct ? of.b_row : tile_columns;

      for (std::int64_t i = 0; i < of.m; i += blocks.m) {
        const std::int64_t m = smaller(blocks.m, of.m - i);
        pack_strip(of, i, m, p0, k, packed);
        const Strip strip{packed, m, by_step ? packed_step : 1, by_step};
        const Tile tile = strip.tile(full_tiles, m);
        float* const c = of.c + i * of.c_row + j0;
        for (std::int64_t j = 0; j < whole; j += tile_columns)
          tile(k, packed, strip.step, b + j / tile_columns * b_panel, b_step, c + j, of.c_row,
               carry);
        if (whole < n)
          multiply_edge(strip, n - whole, k, panels + whole * k, c + whole, of.c_row, carry);
        if (last && finishes)
          finish(of.activation, of.slope, of.bias ? of.bias + j0 : nullptr, m, n, c, of.c_row);
      }
      p0 += k;
    } while (p0 < of.k);
  }
}

}  // namespace

const ProductTable product_table{"matmul, own", tile_rows, tile_columns, workspace, run};

}  // namespace likely::kernels::LIKELY_ISA
