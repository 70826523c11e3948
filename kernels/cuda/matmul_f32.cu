// Products in f32, bit-equal to the CPU's.
#include "kernels/cuda/matmul_fma.h"
#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

TileVariant packs(const char* name, int side) {
  return {side, true, packs_variant(name, {DType::f32, Products::f32, side})};
}
TileVariant elements(const char* name, int side) {
  return {side, false, elements_variant(name, {DType::f32, Products::f32, side})};
}
const TileVariant tiles[] = {packs("128x128", 128), elements("128x128 elements", 128),
                             packs("64x64", 64),    elements("64x64 elements", 64),
                             packs("32x32", 32),    elements("32x32 elements", 32)};

template <int side, int threads, int stages>
void launch_f32(const TileVariant& tile, const MatmulProblem& problem, Packs packs) {
  packs.possible = tile.packs;
  with_packs(packs, [&](auto a, auto b, auto possible) {
    using W = Way<float, side, threads, stages, a, b, possible>;
    launch_tiled<W, FmaSums<W>>(tile.variant, problem);
  });
}

}  // namespace

bool matmul_f32(const MatmulProblem& problem) {
  // No sum takes what lies beyond k, so whole packs need k to be a multiple of theirs.
  const Packs packs = packs_of(problem);
  const TileVariant* const tile =
      usable_tile(tiles, tile_for(problem, {128, 64, 32}), packs.possible && problem.k % 4 == 0);
  if (!tile)
    return false;
  if (tile->side == 128)
    launch_f32<128, 256, 3>(*tile, problem, packs);
  else if (tile->side == 64)
    launch_f32<64, 128, 4>(*tile, problem, packs);
  else
    launch_f32<32, 64, 4>(*tile, problem, packs);
  return true;
}

}  // namespace likely::kernels::cuda
