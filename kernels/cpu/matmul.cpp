// Matmul on the CPU: how a product is shared among threads, and the plain kernel for every type.
#include "kernels/matmul.h"

#include <algorithm>
#include <limits>

#include "kernels/convert.h"
#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/matmul.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

bool serves(const MatmulProblem& problem) { return !problem.tf32; }

// ---- Plain: one accumulator an output, k ascending, any type and strides.

template <class T>
void plain_row(const MatmulProblem& problem, std::int64_t batch, std::int64_t i) {
  using S = Computed<T>;
  constexpr std::int64_t block = 64;
  const T* a = static_cast<const T*>(problem.a) + batch * problem.a_batch + i * problem.a_row;
  const T* b = static_cast<const T*>(problem.b) + batch * problem.b_batch;
  T* c = static_cast<T*>(problem.c) + batch * problem.c_batch + i * problem.c_row;
  for (std::int64_t j0 = 0; j0 < problem.n; j0 += block) {
    const std::int64_t n = std::min(block, problem.n - j0);
    S sum[block] = {}, bias[block];
    for (std::int64_t j = 0; problem.add && j < n; ++j)
      sum[j] = static_cast<S>(c[j0 + j]);
    for (std::int64_t j = 0; problem.biased && j < n; ++j)
      bias[j] = static_cast<S>(static_cast<const T*>(problem.bias)[j0 + j]);
    for (std::int64_t p = 0; p < problem.k; ++p) {
      const auto left = static_cast<S>(a[p * problem.a_column]);
      const T* right = b + p * problem.b_row + j0 * problem.b_column;
      for (std::int64_t j = 0; j < n; ++j)
        sum[j] = multiply_add(left, static_cast<S>(right[j * problem.b_column]), sum[j]);
    }
    finish(problem.activation, problem.slope, problem.biased ? bias : nullptr, 1, n, sum, n);
    for (std::int64_t j = 0; j < n; ++j)
      c[j0 + j] = static_cast<T>(sum[j]);
  }
}

void plain(const MatmulProblem& problem, void*) {
  const std::int64_t work = std::max<std::int64_t>(1, problem.n * problem.k);
  const std::int64_t grain = std::max<std::int64_t>(1, 65536 / work);
  parallel_for(problem.batch * problem.m, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t batch = row / problem.m, i = row % problem.m;
      if (problem.dtype == DType::f32)
        plain_row<float>(problem, batch, i);
      else if (problem.dtype == DType::f64)
        plain_row<double>(problem, batch, i);
      else
        plain_row<bf16>(problem, batch, i);
    }
  });
}

std::size_t plain_workspace(const MatmulProblem&, int) { return 0; }

// ---- Fast, f32: every thread computes a rectangle of c by itself, with packing of its own.

const ProductTable& table() {
  static const ProductTable& chosen = for_isa(isa_v3::product_table, isa_v4::product_table);
  return chosen;
}

// The rectangle [m, n] at (i, j) of one product of the batch.
Product part_of(const MatmulProblem& problem, std::int64_t batch, std::int64_t i, std::int64_t j,
                std::int64_t m, std::int64_t n) {
  const auto at = [](const void* base, std::int64_t offset) {
    return base ? static_cast<const float*>(base) + offset : nullptr;
  };
  Product part;
  part.m = std::min(m, problem.m - i);
  part.n = std::min(n, problem.n - j);
  part.k = problem.k;
  part.a = at(problem.a, batch * problem.a_batch + i * problem.a_row);
  part.a_row = problem.a_row;
  part.a_column = problem.a_column;
  part.b = at(problem.b, batch * problem.b_batch + j * problem.b_column);
  part.b_row = problem.b_row;
  part.b_column = problem.b_column;
  part.c = const_cast<float*>(at(problem.c, batch * problem.c_batch + i * problem.c_row + j));
  part.c_row = problem.c_row;
  part.add = problem.add;
  part.bias = at(problem.bias, j);
  part.activation = problem.activation;
  part.slope = problem.slope;
  return part;
}

struct Grid {
  std::int64_t m, n;          // of one rectangle
  std::int64_t down, across;  // rectangles
  std::size_t floats;         // of workspace, for each thread
};

std::int64_t pieces(std::int64_t n, std::int64_t piece) { return (n + piece - 1) / piece; }

// In multiplications, what a rectangle costs beside its own: every thread packs its columns of b,
// at the price of some rows; and where it ends inside a row of c, two threads write one cache line.
constexpr std::int64_t packing_rows = 6, shared_line = 8192;

// Bits do not depend on the grid, so it may depend on the number of threads.
Grid grid_for(const MatmulProblem& problem, int threads) {
  constexpr double too_small = 1 << 16;  // multiplications that cost as much as waking a thread
  const double all = static_cast<double>(problem.batch) * problem.m * problem.n * problem.k;
  const std::int64_t wanted = all < too_small ? 1 : pieces(threads, problem.batch);
  Grid best{};
  std::int64_t best_cost = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t down = 1; down <= wanted; ++down) {
    const std::int64_t m = pieces(problem.m, down);
    const std::int64_t n = std::min(
        problem.n, pieces(pieces(problem.n, wanted / down), table().columns) * table().columns);
    const std::int64_t cost =
        (m + packing_rows) * n * problem.k + (n < problem.n ? m * shared_line : 0);
    if (cost < best_cost)
      best = {m, n, pieces(problem.m, m), pieces(problem.n, n), 0};
    best_cost = std::min(cost, best_cost);
  }
  best.floats = (table().workspace(part_of(problem, 0, 0, 0, best.m, best.n)) + 15) / 16 * 16;
  return best;
}

std::size_t fast_workspace(const MatmulProblem& problem, int threads) {
  if (problem.dtype != DType::f32)
    return 0;
  const Grid grid = grid_for(problem, threads);
  const std::int64_t jobs = problem.batch * grid.down * grid.across;
  return std::min<std::int64_t>(threads, jobs) * grid.floats * sizeof(float);
}

void fast(const MatmulProblem& problem, void* workspace) {
  if (problem.dtype != DType::f32)
    return plain(problem, workspace);
  const Grid grid = grid_for(problem, threads());
  parallel_for(problem.batch * grid.down * grid.across, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t i = job % grid.down, j = job / grid.down % grid.across;
    const Product part =
        part_of(problem, job / (grid.down * grid.across), i * grid.m, j * grid.n, grid.m, grid.n);
    table().run(part, static_cast<float*>(workspace) + thread_index() * grid.floats);
  });
}

// The first is the default; the second is what the others are compared with.
const Registered registered_fast{matmul_family(), Device::cpu, Source::own,
                                 MatmulBackend{"matmul own", serves, fast_workspace, fast}};
const Registered registered_plain{matmul_family(), Device::cpu, Source::own,
                                  MatmulBackend{"matmul plain", serves, plain_workspace, plain}};

}  // namespace
}  // namespace likely::kernels
