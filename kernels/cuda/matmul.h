// What the tiled products share: the rules that choose a tile, the ring of tiles that a block reads
// ahead into, what happens to finished sums, and the kernel made of all that.
#pragma once
#include <initializer_list>
#include <span>

#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/matmul_tile.h"

namespace likely::kernels::cuda {

// Which tiled kernels there are: f32 by FMA; tf32 and bf16 by tensor cores. Any shape and strides.
// Nothing is done, and false returned, where no variant is usable.
bool matmul_f32(const MatmulProblem& problem);
bool matmul_tf32(const MatmulProblem& problem);
bool matmul_bf16(const MatmulProblem& problem);

// Any product, by the kernel that the static rules choose.
void matmul_own(const MatmulProblem& problem);

// Few outputs, each a long sum over lines that lie one behind the other in both operands, as in a
// gradient of weights: it is a convolution's, of 1 x 1, which cuts the sum into shares
// (convolution.cu). As a product a few blocks would do all the work: on an H200 two took 1.1 ms.
bool weights_serve(const MatmulProblem& problem);
std::size_t weights_workspace(const MatmulProblem& problem);  // bytes
void matmul_weights(const MatmulProblem& problem, void* workspace);

// ---- The static rules

// The side of the tiles that blocks compute: the first of `sides`, from large to small, that makes
// enough tiles to keep most of a GPU busy and computes little beside the result; the last where
// none does. A thread may force another, so that the proof of a large tile can be a small problem.
int tile_for(const MatmulProblem& problem, std::initializer_list<int> sides);
int& forced_tile();  // 0: none; 1: the plain kernel

// A kernel by its tile's side, and how it copies: by packs, or by single elements, which any
// operands allow.
struct TileVariant {
  int side;
  bool packs;
  const Variant variant;
};
// The one of that side and way of copying; if it is not usable, the first that is, by packs if
// possible; null where none is.
const TileVariant* usable_tile(std::span<const TileVariant> all, int side, bool packs);

// How packs of both operands can be copied; not at all where one of them lies awkwardly.
struct Packs {
  bool possible;
  Adjacent a, b;
};
Packs packs_of(const MatmulProblem& problem);

// Few columns, long sums.
bool narrow_serves(const MatmulProblem& problem, const Packs& packs);
void matmul_narrow(const MatmulProblem& problem);

// Calls f with constants: Adjacent of a, Adjacent of b, and whether packs are copied. Single
// elements end up along k.
template <class F>
void with_packs(const Packs& packs, F f) {
  const auto pass = [&]<Adjacent a, Adjacent b, bool possible>() {
    f(std::integral_constant<Adjacent, a>{}, std::integral_constant<Adjacent, b>{},
      std::bool_constant<possible>{});
  };
  if (!packs.possible)
    pass.template operator()<Adjacent::k, Adjacent::k, false>();
  else if (packs.a == Adjacent::k && packs.b == Adjacent::k)
    pass.template operator()<Adjacent::k, Adjacent::k, true>();
  else if (packs.a == Adjacent::k)
    pass.template operator()<Adjacent::k, Adjacent::rows, true>();
  else if (packs.b == Adjacent::k)
    pass.template operator()<Adjacent::rows, Adjacent::k, true>();
  else
    pass.template operator()<Adjacent::rows, Adjacent::rows, true>();
}

// The problem in parts whose products fit into a grid's z, each with its blocks.
void for_batches(const MatmulProblem& problem, int tile,
                 const std::function<void(const MatmulProblem& part, dim3 blocks)>& launch);

// ---- The ring

// How a block works: its tile of the result is square.
template <class Element, int tile_, int threads_, int stages_, Adjacent a_, Adjacent b_,
          bool packs_>
struct Way {
  using T = Element;
  static constexpr int tile = tile_, threads = threads_, stages = stages_;
  static constexpr Adjacent a = a_, b = b_;
  static constexpr bool packs = packs_;
  static constexpr int slab = tile < 64 ? tile : 64;  // rows of sums that are finished at once

  struct Stage {
    Pack<T> a[tile * 4], b[tile * 4];
  };
  union Memory {
    Stage stage[stages];
    float sums[slab][tile + 8];  // the 8 spread eight rows over all banks
  };
};

template <class W, Adjacent adjacent>
LIKELY_DEVICE auto reader(const Operand<typename W::T>& operand, float padding) {
  if constexpr (W::packs)
    return PackReader<typename W::T, adjacent, W::tile, W::threads>(operand);
  else
    return ElementReader<typename W::T, W::tile, W::threads>(operand, typename W::T(padding));
}

// Calls multiply(stage, how many of its k there are) for one stage after the other, while those
// behind it are on their way. Single elements beyond k are -0 in a and 0 in b: their product
// changes no sum, not even -0.
template <class W, class Left, class Right, class F>
LIKELY_DEVICE void for_stages(typename W::Memory& memory, Left a, Right b, std::int64_t k,
                              F multiply) {
  constexpr int ahead = W::stages - 1, depth = tile_k<typename W::T>;
  const int steps = static_cast<int>(quotient_up(k, depth));
  const int last = static_cast<int>(k - static_cast<std::int64_t>(steps - 1) * depth);
  const auto k_of = [&](int steps_left) { return steps_left == 1 ? last : depth; };
  const auto fetch = [&](int stage, int steps_left) {
    if (steps_left > 0) {
      a.next_stage(memory.stage[stage].a, k_of(steps_left));
      b.next_stage(memory.stage[stage].b, k_of(steps_left));
    }
    cp_async_commit();
  };
  LIKELY_UNROLL
  for (int stage = 0; stage < ahead; ++stage)
    fetch(stage, steps - stage);
  int now = 0;
  for (int steps_left = steps; steps_left > 0; --steps_left) {
    cp_async_wait<ahead - 1>();
    __syncthreads();  // all have waited, and have read what is written next
    fetch(now == 0 ? ahead : now - 1, steps_left - ahead);
    multiply(memory.stage[now], k_of(steps_left));
    now = now == ahead ? 0 : now + 1;
  }
  __syncthreads();  // the stages have been read, and no copies are under way
}

// What a block reads of a product's operands, from a row or column on. Other problems have readers
// of their own.
template <class W>
LIKELY_DEVICE auto left_reader(const MatmulProblem& p, std::int64_t row) {
  using T = typename W::T;
  const T* from = static_cast<const T*>(p.a) + blockIdx.z * p.a_batch + row * p.a_row;
  const int rows = p.m - row < W::tile ? static_cast<int>(p.m - row) : W::tile;
  return reader<W, W::a>(Operand<T>{from, p.a_row, p.a_column, rows}, -0.0f);
}
template <class W>
LIKELY_DEVICE auto right_reader(const MatmulProblem& p, std::int64_t column) {
  using T = typename W::T;
  const T* from = static_cast<const T*>(p.b) + blockIdx.z * p.b_batch + column * p.b_column;
  const int columns = p.n - column < W::tile ? static_cast<int>(p.n - column) : W::tile;
  return reader<W, W::b>(Operand<T>{from, p.b_column, p.b_row, columns}, 0.0f);
}
LIKELY_DEVICE std::int64_t terms_of(const MatmulProblem& p) { return p.k; }
LIKELY_DEVICE std::int64_t rows_of(const MatmulProblem& p) { return p.m; }
// Whether a block has a tile: a grid for results of several sizes is as large as the largest needs.
LIKELY_DEVICE bool has_row(const MatmulProblem&, std::int64_t) { return true; }

// ---- What happens to finished sums

template <class T>
LIKELY_DEVICE T* result_of(const MatmulProblem& p) {
  return static_cast<T*>(p.c) + blockIdx.z * p.c_batch;
}

template <class T>
LIKELY_DEVICE T* row_of(const MatmulProblem& p, std::int64_t row) {
  return result_of<T>(p) + row * p.c_row;
}

// Where a slab keeps a column's sums: a pack of bf16 takes two packs of them, which eight threads
// read without conflicts if every other eight packs are swapped in pairs.
template <class T>
LIKELY_DEVICE int sums_column(int column) {
  return sizeof(T) == 2 ? column ^ (column / 8 & 4) : column;
}

// c = activation(sums + bias), or of (sums + c + bias) where `add`. By packs where c is aligned.
// T is the operands' type; the result may have another.
template <class T, class Result, bool add, int threads, class Problem, int rows, int width>
LIKELY_DEVICE_SHARED void finish(const Problem& p, const float (&sums)[rows][width],
                                 std::int64_t first_row, std::int64_t first_column) {
  constexpr int size = Pack<Result>::size, packs = (width - 8) / size;
  const bool aligned = aligned16(result_of<Result>(p)) && p.c_row % size == 0;
  for (int i = static_cast<int>(threadIdx.x); i < rows * packs; i += threads) {
    const std::int64_t row = first_row + i / packs, column = first_column + i % packs * size;
    if (row >= rows_of(p) || column >= p.n)
      continue;
    Result* c = row_of<Result>(p, row) + column;
    const Result* bias = static_cast<const Result*>(p.bias) + column;
    Pack<float> sum[size / 4];
    LIKELY_UNROLL
    for (int j = 0; j < size / 4; ++j)
      sum[j] = load16(&sums[i / packs][sums_column<T>(i % packs * size + j * 4)]);
    const bool whole = aligned && column + size <= p.n;
    Pack<Result> result{};
    LIKELY_UNROLL
    for (int j = 0; j < size; ++j) {
      if (column + j >= p.n)
        break;
      float x = sum[j / 4].value[j % 4];
      if (add && p.add)
        x = x + static_cast<float>(c[j]);
      if (p.biased)
        x = x + static_cast<float>(bias[j]);
      sum[j / 4].value[j % 4] = x;
    }
    LIKELY_UNROLL
    for (int j = 0; j < size; ++j) {  // apart, or the largest tile of sm_80 lacks registers
      result.value[j] = Result(activated(p, sum[j / 4].value[j % 4]));
      if (!whole && column + j < p.n)
        c[j] = result.value[j];
    }
    if (whole)
      store16(c, result);
  }
}

// ---- The kernel. Sums are what a thread keeps of the block's tile:
//   row(), column()            of its first output in the tile
//   start(p, corner)           zeros, or with `starts_from_c` what c holds if that is added to
//   multiply(stage, k_left)    adds the products of a stage, of which k_left are there
//   store(sums, first)         writes those of its outputs that lie in a slab from row `first` on

template <class W, class Sums, class Problem = MatmulProblem, class Result = typename W::T>
__global__ void __launch_bounds__(W::threads, W::packs ? 2 : 1) tiled(Problem p) {
  using T = typename W::T;
  auto& memory = shared<typename W::Memory>();
  const Corner<W::tile> corner(rows_of(p), p.n);
  if (!has_row(p, corner.row()))
    return;
  Sums sums;
  sums.start(p, corner);
  const bool busy = corner.row() + sums.row() < rows_of(p) && corner.column() + sums.column() < p.n;
  for_stages<W>(memory, left_reader<W>(p, corner.row()), right_reader<W>(p, corner.column()),
                terms_of(p), [&](const typename W::Stage& stage, int k_left) {
                  if (busy)
                    sums.multiply(stage, k_left);
                });
  LIKELY_UNROLL
  for (int first = 0; first < W::tile; first += W::slab) {
    if (first > 0)
      __syncthreads();  // the slab before has been read
    sums.store(memory.sums, first);
    __syncthreads();
    finish<T, Result, !Sums::starts_from_c, W::threads>(p, memory.sums, corner.row() + first,
                                                        corner.column());
  }
}

template <class W, class Sums>
void launch_tiled(const Variant& variant, const MatmulProblem& problem) {
  for_batches(problem, W::tile, [&](const MatmulProblem& part, dim3 blocks) {
    launch(variant, tiled<W, Sums>, Grid{blocks, W::threads, sizeof(typename W::Memory)}, part);
  });
}

}  // namespace likely::kernels::cuda
