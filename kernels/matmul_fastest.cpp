#include "kernels/matmul_fastest.h"

#include "kernels/fastest.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

const char* layout(std::int64_t row, std::int64_t column) {
  return column == 1 ? "rows" : row == 1 ? "columns" : "strided";
}

std::string key_of(const MatmulProblem& problem) {
  return fmt::format("matmul {} {}x{}x{}x{} {} {}{}{} activation {}", problem.dtype, problem.batch,
                     problem.m, problem.n, problem.k, layout(problem.a_row, problem.a_column),
                     layout(problem.b_row, problem.b_column), problem.add ? " add" : "",
                     problem.biased ? " bias" : "", static_cast<int>(problem.activation));
}

}  // namespace

Source fastest_source(const MatmulProblem& problem, const MatmulBackend& own,
                      const MatmulBackend& vendor) {
  const auto backend = [&](Source source) -> const MatmulBackend& {
    return source == Source::own ? own : vendor;
  };
  const std::int64_t elements =
      (problem.batch - 1) * problem.c_batch + (problem.m - 1) * problem.c_row + problem.n;
  return winner_of({"matmul", key_of(problem), problem.c, problem.dtype, problem.tf32, elements,
                    problem.k, problem.add,
                    [&](Source source) { return backend(source).workspace(problem, threads()); },
                    [&](Source source, void* result, void* workspace) {
                      MatmulProblem copy = problem;
                      copy.c = result;
                      backend(source).fill(copy, workspace);
                    }});
}

}  // namespace likely::kernels
