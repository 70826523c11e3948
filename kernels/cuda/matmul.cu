// Matmul on a GPU: the static rules, and the plain kernel for every type.
#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "kernels/convert.h"
#include "kernels/cuda/matmul.h"
#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

// ---- Plain: a thread an output, k ascending, any type and strides.

constexpr int plain_threads = 128;

template <class T, bool tf32>
__global__ void __launch_bounds__(plain_threads) plain(MatmulProblem p) {
  using S = Computed<T>;
  const std::int64_t outputs = p.batch * p.m * p.n;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < outputs; i += step) {
    const std::int64_t column = i % p.n, row = i / p.n % p.m, batch = i / p.n / p.m;
    const T* a = static_cast<const T*>(p.a) + batch * p.a_batch + row * p.a_row;
    const T* b = static_cast<const T*>(p.b) + batch * p.b_batch + column * p.b_column;
    T* c = static_cast<T*>(p.c) + batch * p.c_batch + row * p.c_row + column;
    S sum = p.add ? static_cast<S>(*c) : S(0);
    for (std::int64_t k = 0; k < p.k; ++k)
      sum =
          multiply_add(operand<T, tf32>(a[k * p.a_column]), operand<T, tf32>(b[k * p.b_row]), sum);
    if (p.biased)
      sum = sum + static_cast<S>(static_cast<const T*>(p.bias)[column]);
    *c = static_cast<T>(activated(p, sum));
  }
}

template <class T>
const Variant plain_kernel = plain_variant("plain", dtype_of<T>, Products::f32);
const Variant plain_tf32 = plain_variant("plain tf32", DType::f32, Products::tf32);

template <class T, bool tf32 = false>
void launch_plain(const Variant& variant, const MatmulProblem& problem) {
  const std::int64_t outputs = problem.batch * problem.m * problem.n;
  const std::int64_t blocks = quotient_up(outputs, plain_threads);
  const auto at_once = static_cast<unsigned>(std::min<std::int64_t>(blocks, 1 << 24));
  launch(variant, plain<T, tf32>, Grid{dim3(at_once), plain_threads}, problem);
}

void fill_plain(const MatmulProblem& problem, void*) {
  if (problem.tf32)
    launch_plain<float, true>(plain_tf32, problem);
  else if (problem.dtype == DType::f32)
    launch_plain<float>(plain_kernel<float>, problem);
  else if (problem.dtype == DType::f64)
    launch_plain<double>(plain_kernel<double>, problem);
  else
    launch_plain<bf16>(plain_kernel<bf16>, problem);
}

// ---- The static rules

// Where a tile would hold little else than zeros. In f32 either kernel gives the same bits; in bf16
// the number of rows must not decide, so that a row gives the same bits in every batch.
bool tiles_are_wasted(const MatmulProblem& p) {
  return p.dtype == DType::f32 ? p.m * p.n < 1024 || p.k < 4 : p.n < 8 || p.k < 16;
}

void fill(const MatmulProblem& problem, void* workspace) {
  weights_serve(problem) ? matmul_weights(problem, workspace) : matmul_own(problem);
}

// The order in which packs of an operand [rows, k] can be copied, if any.
bool packs_fit(const MatmulProblem& p, const void* address, std::int64_t batch_step,
               std::int64_t rows, std::int64_t row_step, std::int64_t k_step, Adjacent& adjacent) {
  const std::int64_t size = 16 / static_cast<std::int64_t>(size_of(p.dtype));
  const auto fits = [&](std::int64_t step) {
    return step % size == 0 && std::abs(step) <= longest_step;
  };
  if (!aligned16(address) || batch_step % size != 0)
    return false;
  adjacent = k_step == 1 && p.k % size == 0 && fits(row_step) ? Adjacent::k : Adjacent::rows;
  return adjacent == Adjacent::k || (row_step == 1 && rows % size == 0 && fits(k_step));
}

bool serves(const MatmulProblem&) { return true; }
std::size_t workspace(const MatmulProblem& problem, int) {
  return weights_serve(problem) ? weights_workspace(problem) : 0;
}
std::size_t no_workspace(const MatmulProblem&, int) { return 0; }

const Registered registered(matmul_family(), Device::cuda, Source::own,
                            MatmulBackend{"matmul own", serves, workspace, fill});
const Registered registered_plain(matmul_family(), Device::cuda, Source::own,
                                  MatmulBackend{"matmul plain", serves, no_workspace, fill_plain});

}  // namespace

void matmul_own(const MatmulProblem& problem) {
  MatmulProblem p = problem;  // no step along an axis of one element
  p.a_row = p.m == 1 ? 0 : p.a_row;
  p.b_column = p.n == 1 ? 0 : p.b_column;
  p.a_column = p.k == 1 ? 0 : p.a_column;
  p.b_row = p.k == 1 ? 0 : p.b_row;
  if (!forced_tile() && narrow_serves(p, packs_of(p)))
    return matmul_narrow(p);
  const bool plain =
      forced_tile() == 1 || (!p.tf32 && (p.dtype == DType::f64 || tiles_are_wasted(p)));
  const bool done = !plain && (p.tf32                  ? matmul_tf32(p)
                               : p.dtype == DType::f32 ? matmul_f32(p)
                                                       : matmul_bf16(p));
  if (!done)
    fill_plain(p, nullptr);
}

int& forced_tile() {
  static thread_local int side = 0;
  return side;
}

int tile_for(const MatmulProblem& p, std::initializer_list<int> sides) {
  // GPUs have some 100 multiprocessors. (On an H200, 64 tiles of 128 took 292 µs where 128 tiles of
  // 64, of as much work together, took 206 µs.)
  constexpr std::int64_t enough = 96;
  const auto count = [&](int side) { return quotient_up(p.m, side) * quotient_up(p.n, side); };
  for (const int side : sides) {
    const bool wasteful = 16 * count(side) > 5 * count(side / 2);  // outputs: a quarter more
    if (forced_tile() == side || (!forced_tile() && p.batch * count(side) >= enough && !wasteful))
      return side;
  }
  return *(sides.end() - 1);
}

const TileVariant* usable_tile(std::span<const TileVariant> all, int side, bool packs) {
  const auto first = [&](auto fits) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const TileVariant& tile) {
      return tile.variant.usable() && fits(tile);
    });
    return found == all.end() ? nullptr : &*found;
  };
  if (const auto* wanted =
          first([&](const TileVariant& tile) { return tile.side == side && tile.packs == packs; }))
    return wanted;
  const auto* other = first([&](const TileVariant& tile) { return tile.packs == packs; });
  return other ? other : first([](const TileVariant& tile) { return !tile.packs; });
}

Packs packs_of(const MatmulProblem& p) {
  Packs packs{};
  packs.possible = packs_fit(p, p.a, p.a_batch, p.m, p.a_row, p.a_column, packs.a) &&
                   packs_fit(p, p.b, p.b_batch, p.n, p.b_column, p.b_row, packs.b);
  return packs;
}

void for_batches(const MatmulProblem& p, int tile,
                 const std::function<void(const MatmulProblem& part, dim3 blocks)>& launch) {
  constexpr std::int64_t most = 65535;
  const auto size = static_cast<std::int64_t>(size_of(p.dtype));
  for (std::int64_t first = 0; first < p.batch; first += most) {
    MatmulProblem part = p;
    part.batch = std::min(most, p.batch - first);
    part.a = static_cast<const std::byte*>(p.a) + first * p.a_batch * size;
    part.b = static_cast<const std::byte*>(p.b) + first * p.b_batch * size;
    part.c = static_cast<std::byte*>(p.c) + first * p.c_batch * size;
    launch(part, {static_cast<unsigned>(quotient_up(p.m, tile) * quotient_up(p.n, tile)), 1,
                  static_cast<unsigned>(part.batch)});
  }
}

}  // namespace likely::kernels::cuda
