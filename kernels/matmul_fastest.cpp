// Own against vendor on the operands of the first call: results compared, then times.
#include "kernels/matmul_fastest.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>

#include "kernels/choice.h"
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

// One candidate's result and workspace, in memory that no allocator counts.
class Trial {
 public:
  Trial(const MatmulProblem& problem, const MatmulBackend& backend)
      : problem_(problem), backend_(backend) {
    const std::size_t size = size_of(problem.dtype);
    const std::size_t elements =
        (problem.batch - 1) * problem.c_batch + (problem.m - 1) * problem.c_row + problem.n;
    result_.reset(std::aligned_alloc(64, (elements * size + 63) / 64 * 64));
    workspace_.reset(
        std::aligned_alloc(64, (backend.workspace(problem, threads()) + 64) / 64 * 64));
    require<OutOfMemory>(result_ && workspace_, "matmul: no memory left to compare kernels in.");
    if (problem.add)
      std::memcpy(result_.get(), problem.c, elements * size);
    problem_.c = result_.get();
  }

  void run() { backend_.fill(problem_, workspace_.get()); }

  double seconds() {
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  template <class T>
  double at(std::int64_t batch, std::int64_t i, std::int64_t j) const {
    const std::int64_t place = batch * problem_.c_batch + i * problem_.c_row + j;
    return static_cast<double>(static_cast<float>(static_cast<const T*>(result_.get())[place]));
  }

 private:
  struct Free {
    void operator()(void* block) const { std::free(block); }
  };
  MatmulProblem problem_;
  const MatmulBackend& backend_;
  std::unique_ptr<void, Free> result_, workspace_;
};

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
bool agree(const MatmulProblem& problem, const Trial& own, const Trial& vendor) {
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
        const double x = own.at<T>(batch, i, j), y = vendor.at<T>(batch, i, j);
        const double bound = growth * row * columns[j] + 16 * unit * (1 + std::fabs(x));
        if (!(std::fabs(x - y) <= bound) && !(std::isnan(x) && std::isnan(y)) && x != y)
          return false;
      }
    }
  }
  return true;
}

Source measure(const MatmulProblem& problem, const MatmulBackend& own,
               const MatmulBackend& vendor) {
  Trial ours(problem, own), theirs(problem, vendor);
  ours.run();
  theirs.run();
  const bool same = problem.dtype == DType::bf16 ? agree<bf16>(problem, ours, theirs)
                                                 : agree<float>(problem, ours, theirs);
  if (!same)
    return Source::own;
  double best_ours = ours.seconds(), best_theirs = theirs.seconds();
  for (int turn = 0; turn < 9; ++turn) {  // in turn, so that both meet the same disturbances
    best_ours = std::min(best_ours, ours.seconds());
    best_theirs = std::min(best_theirs, theirs.seconds());
  }
  return best_theirs < best_ours ? Source::vendor : Source::own;
}

}  // namespace

Source fastest_source(const MatmulProblem& problem, const MatmulBackend& own,
                      const MatmulBackend& vendor) {
  const std::string key = key_of(problem);
  if (!problem.c)
    return remembered_choice(key).value_or(Source::own);
  return fastest(key, [&] { return measure(problem, own, vendor); });
}

}  // namespace likely::kernels
