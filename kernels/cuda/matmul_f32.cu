// Products in f32, bit-equal to the CPU's.
#include "kernels/cuda/matmul_fma.h"
#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

constexpr Tiled of(int side) { return {DType::f32, Products::f32, side}; }
const TileVariant tiles[] = {
    packs_tile("128x128", of(128)), elements_tile("128x128 elements", of(128)),
    packs_tile("64x64", of(64)),    elements_tile("64x64 elements", of(64)),
    packs_tile("32x32", of(32)),    elements_tile("32x32 elements", of(32))};

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
