// Products with few columns and long sums. A tile would hold little but zeros, and a thread that
// reads its operands alone waits for memory at every step: here a block reads whole lines of both
// ahead, and a thread sums an output, k ascending.
#include "kernels/cuda/matmul.h"
#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

constexpr int threads = 128, most_columns = 32, stages = 3, ahead = stages - 1;
constexpr int packs = 32;  // of a line, a warp's
constexpr int rows_of_few = 4, few_columns = most_columns / rows_of_few;

// The rows of a, then the columns of b. The pack behind a line spreads lines over the banks.
template <class T>
struct Lines {
  Pack<T> stage[stages][1 + most_columns][packs + 1];
};

template <class T, bool tf32>
__global__ void __launch_bounds__(threads) narrow(MatmulProblem p, int rows) {
  constexpr int size = Pack<T>::size, length = packs * size;
  auto& memory = shared<Lines<T>>();
  const int columns = static_cast<int>(p.n), thread = static_cast<int>(threadIdx.x);
  const std::int64_t first = std::int64_t{blockIdx.x} * rows;
  const T* const a = static_cast<const T*>(p.a) + blockIdx.z * p.a_batch + first * p.a_row;
  const T* const b = static_cast<const T*>(p.b) + blockIdx.z * p.b_batch;
  const int steps = static_cast<int>(quotient_up(p.k, length));
  const auto packs_of = [&](int step) {
    const std::int64_t left = p.k - std::int64_t{step} * length;
    return left < length ? static_cast<int>(left / size) : packs;
  };
  const auto fetch = [&](int step) {
    const int pack = thread % packs, there = step < steps ? packs_of(step) : 0;
    for (int line = thread / packs; line < rows + columns && there > 0; line += threads / packs) {
      const T* const from = line < rows ? a + line * p.a_row : b + (line - rows) * p.b_column;
      cp_async16(&memory.stage[step % stages][line][pack],
                 from + std::int64_t{step} * length + pack * size,
                 pack < there && (line >= rows || first + line < p.m));
    }
    cp_async_commit();
  };

  const int row = thread / columns, column = thread % columns;
  const bool sums = row < rows && first + row < p.m;
  T* const c = static_cast<T*>(p.c) + blockIdx.z * p.c_batch + (first + row) * p.c_row + column;
  Computed<T> sum = sums && p.add ? Computed<T>(*c) : Computed<T>(0);
  for (int step = 0; step < ahead; ++step)
    fetch(step);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<ahead - 1>();
    __syncthreads();  // all have waited, and have read what is written next
    fetch(step + ahead);
    const auto& lines = memory.stage[step % stages];
    const int here = sums ? packs_of(step) : 0;
    constexpr int at_once = 8;  // loads under way together
    for (int from = 0; from < here; from += at_once) {
      Pack<T> x[at_once], w[at_once];
      LIKELY_UNROLL
      for (int i = 0; i < at_once; ++i) {
        x[i] = load16(lines[row][from + i].value);
        w[i] = load16(lines[rows + column][from + i].value);
      }
      LIKELY_UNROLL
      for (int i = 0; i < at_once; ++i) {
        if (from + i < here) {
          LIKELY_UNROLL
          for (int j = 0; j < size; ++j)
            sum =
                multiply_add(operand<T, tf32>(x[i].value[j]), operand<T, tf32>(w[i].value[j]), sum);
        }
      }
    }
  }
  if (!sums)
    return;
  if (p.biased)
    sum = sum + Computed<T>(static_cast<const T*>(p.bias)[column]);
  *c = T(activated(p, sum));
}

template <class T>
const Variant kernel = narrow_variant("narrow", dtype_of<T>, Products::f32);
const Variant tf32_kernel = narrow_variant("narrow tf32", DType::f32, Products::tf32);

const Variant& variant_for(const MatmulProblem& p) {
  return p.tf32 ? tf32_kernel : p.dtype == DType::f32 ? kernel<float> : kernel<bf16>;
}

template <class T, bool tf32 = false>
void launch_narrow(const MatmulProblem& p) {
  const int rows = p.n <= few_columns ? rows_of_few : 1;
  launch(
      variant_for(p), narrow<T, tf32>,
      Grid{dim3(static_cast<unsigned>(quotient_up(p.m, rows)), 1, static_cast<unsigned>(p.batch)),
           threads, sizeof(Lines<T>)},
      p, rows);
}

}  // namespace

bool narrow_serves(const MatmulProblem& p, const Packs& packs) {
  const bool short_sums = p.k < 64 || p.k % (16 / static_cast<std::int64_t>(size_of(p.dtype))) != 0;
  if (p.dtype == DType::f64 || !variant_for(p).usable() || short_sums || p.batch > 65535 ||
      !packs.possible || packs.a != Adjacent::k || packs.b != Adjacent::k)
    return false;
  constexpr std::int64_t few_rows = 2048;  // beyond, tiles and single threads fill a GPU
  if (p.tf32)  // tensor cores sum in another order: the number of rows must not decide
    return p.n <= few_columns && p.k >= 1024;
  return p.n <= (p.dtype == DType::f32 ? most_columns : few_columns - 1) &&
         p.batch * p.m <= few_rows;
}

void matmul_narrow(const MatmulProblem& problem) {
  if (problem.tf32)
    launch_narrow<float, true>(problem);
  else if (problem.dtype == DType::f32)
    launch_narrow<float>(problem);
  else
    launch_narrow<bf16>(problem);
}

}  // namespace likely::kernels::cuda
