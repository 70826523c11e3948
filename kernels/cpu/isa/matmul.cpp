// The f32 product of one thread: packing, blocks, tiles, and the epilogue.
//
// Every output has one accumulator, to which a(i, p) b(p, j) is added by FMA for p = 0, 1, … k - 1;
// between blocks of p it waits in c. So no bit depends on blocks, tiles, vectors or threads.
#include "kernels/cpu/isa/matmul.h"

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/isa/matmul_strip.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

constexpr std::int64_t right_block = 512 * 1024;  // floats of b packed at once

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

// Rows [i0, i0 + m) of a, columns [p0, p0 + k), as a strip.
void pack_strip(const Product& of, std::int64_t i0, std::int64_t m, std::int64_t p0, std::int64_t k,
                float* to) {
  const float* from = of.a + i0 * of.a_row + p0 * of.a_column;
  if (of.a_column == 1) {
    for (std::int64_t i = 0; i < m; ++i)
      copy(to + i * packed_row, from + i * of.a_row, k);
  } else if (of.a_row == 1) {
    pack_steps(from, of.a_column, i0 + packed_step <= of.m ? packed_step : m, k, to);
  } else {
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t p = 0; p < k; ++p)
        to[i * packed_row + p] = from[i * of.a_row + p * of.a_column];
  }
}

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
    pack_panel(of.b + p0 * of.b_row + (j0 + j) * of.b_column, of.b_row, of.b_column, k,
               smaller(tile_columns, n - j), panels + (blocks.direct ? 0 : j * k));
  const float* const b = blocks.direct ? of.b + p0 * of.b_row + j0 : panels;
  const std::int64_t b_panel = blocks.direct ? 1 : k;  // a column further, times the columns
  const std::int64_t b_step = blocks.direct ? of.b_row : tile_columns;
  const float* const edge = blocks.direct ? panels : panels + whole * k;

  const bool by_step = of.a_row == 1 && of.a_column != 1;
  for (std::int64_t i = 0; i < of.m; i += blocks.m) {
    const Strip strip{space, smaller(blocks.m, of.m - i), by_step ? packed_step : 1, by_step};
    pack_strip(of, i, strip.m, p0, k, space);
    float* const c = of.c + i * of.c_row + j0;
    multiply(strip, n, k, b, b_panel, b_step, edge, c, of.c_row, carry);
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
