#include "kernels/matmul_fastest.h"

#include <cmath>

#include "kernels/fastest.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

const char* layout(std::int64_t row, std::int64_t column) {
  return column == 1 ? "rows" : row == 1 ? "columns" : "strided";
}

std::string key_of(const MatmulProblem& problem) {
  return fmt::format(
      "matmul {} {}x{}x{}x{} {} {}{}{} activation {} threads {}", problem.dtype, problem.batch,
      problem.m, problem.n, problem.k, layout(problem.a_row, problem.a_column),
      layout(problem.b_row, problem.b_column), problem.add ? " add" : "",
      problem.biased ? " bias" : "", static_cast<int>(problem.activation), threads());
}

template <class T>
double at(const MatmulProblem& problem, const void* c, std::int64_t batch, std::int64_t i,
          std::int64_t j) {
  const std::int64_t place = batch * problem.c_batch + i * problem.c_row + j;
  return static_cast<double>(static_cast<float>(static_cast<const T*>(c)[place]));
}

template <class T>
double norm(const void* x, std::int64_t count, std::int64_t stride) {
  double sum = 0;
  for (std::int64_t p = 0; p < count; ++p) {
    const auto value =
        static_cast<double>(static_cast<float>(static_cast<const T*>(x)[p * stride]));
    sum += value * value;
  }
  return std::sqrt(sum);
}

// Rounding errors of k additions grow like √k times what they add up, which is at most ‖a_i‖‖b_j‖;
// a few units more for bias, activation and the final rounding.
template <class T>
bool agree(const MatmulProblem& problem, const void* own, const void* vendor) {
  const double unit = std::is_same_v<T, bf16> ? 0x1p-8 : 0x1p-24;
  const double growth = 2 * std::sqrt(static_cast<double>(problem.k)) * 0x1p-24;
  for (std::int64_t batch = 0; batch < problem.batch; ++batch) {
    const T* a = static_cast<const T*>(problem.a) + batch * problem.a_batch;
    const T* b = static_cast<const T*>(problem.b) + batch * problem.b_batch;
    std::vector<double> columns;
    for (std::int64_t j = 0; j < problem.n; ++j)
      columns.push_back(norm<T>(b + j * problem.b_column, problem.k, problem.b_row));
    for (std::int64_t i = 0; i < problem.m; ++i) {
      const double row = norm<T>(a + i * problem.a_row, problem.k, problem.a_column);
      for (std::int64_t j = 0; j < problem.n; ++j) {
        const double x = at<T>(problem, own, batch, i, j);
        const double y = at<T>(problem, vendor, batch, i, j);
        const double bound = growth * row * columns[j] + 16 * unit * (1 + std::fabs(x));
        if (!(std::fabs(x - y) <= bound) && !(std::isnan(x) && std::isnan(y)) && x != y)
          return false;
      }
    }
  }
  return true;
}

}  // namespace

Source fastest_source(const MatmulProblem& problem, const MatmulBackend& own,
                      const MatmulBackend& vendor) {
  const auto backend = [&](Source source) -> const MatmulBackend& {
    return source == Source::own ? own : vendor;
  };
  const std::size_t elements =
      (problem.batch - 1) * problem.c_batch + (problem.m - 1) * problem.c_row + problem.n;
  return winner_of({key_of(problem), problem.c, elements * size_of(problem.dtype), problem.add,
                    [&](Source source) { return backend(source).workspace(problem, threads()); },
                    [&](Source source, void* result, void* workspace) {
                      MatmulProblem copy = problem;
                      copy.c = result;
                      backend(source).fill(copy, workspace);
                    },
                    [&](const void* ours, const void* theirs) {
                      return problem.dtype == DType::bf16 ? agree<bf16>(problem, ours, theirs)
                                                          : agree<float>(problem, ours, theirs);
                    }});
}

}  // namespace likely::kernels
