#include "kernels/matmul_fastest.h"

#include "kernels/fastest.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

// How a matrix lies, and its steps where they say more.
std::string layout(std::int64_t rows, std::int64_t columns, std::int64_t row_step,
                   std::int64_t column_step) {
  if (column_step == 1)
    return rows == 1 || row_step == columns ? "rows" : fmt::format("rows/{}", row_step);
  if (row_step == 1)
    return columns == 1 || column_step == rows ? "columns" : fmt::format("columns/{}", column_step);
  return fmt::format("strided/{}/{}", row_step, column_step);
}

std::string key_of(const MatmulProblem& p) {
  const std::string result = layout(p.m, p.n, p.c_row, 1);
  return fmt::format(
      "matmul {} {}x{}x{}x{} {} {}{}{}{}{} activation {}{}", p.dtype, p.batch, p.m, p.n, p.k,
      layout(p.m, p.k, p.a_row, p.a_column), layout(p.k, p.n, p.b_row, p.b_column),
      result == "rows" ? "" : " to " + result,
      p.batch == 1 ? "" : fmt::format(" apart {}/{}/{}", p.a_batch, p.b_batch, p.c_batch),
      p.add ? " add" : "", p.biased ? " bias" : "", static_cast<int>(p.activation),
      alignments({p.a, p.b, p.c}));
}

}  // namespace

Winner fastest_matmul(const MatmulProblem& p, const MatmulBackend& own,
                      const MatmulBackend& vendor) {
  const std::int64_t elements = (p.batch - 1) * p.c_batch + (p.m - 1) * p.c_row + p.n;
  return winner_of(
      {"matmul", key_of(p), p.dtype, p.tf32, p.add, {{p.dtype, elements, p.k, p.c}}}, p, own,
      vendor, {&MatmulProblem::c},
      [](const MatmulBackend& by, const MatmulProblem& q) { return by.workspace(q, threads()); },
      [](const MatmulBackend& by, const MatmulProblem& q, void* memory) { by.fill(q, memory); });
}

}  // namespace likely::kernels
