// Products by tensor cores.
#include "kernels/cuda/matmul_mma.h"
#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

const TileVariant bf16_tiles[] = {
    packs_tile("mma 128x128", {DType::bf16, Products::f32, 128}),
    elements_tile("mma 128x128 elements", {DType::bf16, Products::f32, 128}),
    packs_tile("mma 64x64", {DType::bf16, Products::f32, 64}),
    elements_tile("mma 64x64 elements", {DType::bf16, Products::f32, 64})};
const TileVariant tf32_tiles[] = {
    packs_tile("tf32 128x128", {DType::f32, Products::tf32, 128}),
    elements_tile("tf32 128x128 elements", {DType::f32, Products::tf32, 128}),
    packs_tile("tf32 64x64", {DType::f32, Products::tf32, 64}),
    elements_tile("tf32 64x64 elements", {DType::f32, Products::tf32, 64})};

template <class T, int side, int stages>
void launch_mma(const TileVariant& tile, const MatmulProblem& problem, Packs packs) {
  packs.possible = tile.packs;
  with_packs(packs, [&](auto a, auto b, auto possible) {
    // Four warps of 64 x 64 take the fewest bytes from shared memory. (On an H200 they are a tenth
    // faster than eight; with single elements they lack registers, and convolutions are slower.)
    using W = Way<T, side, possible ? 128 : side * 2, stages, a, b, possible>;
    launch_tiled<W, MmaSums<W>>(tile.variant, problem);
  });
}

// Four stages of large tiles where two blocks with them find room on a multiprocessor, else three.
template <class T>
bool launch_any(std::span<const TileVariant> tiles, const MatmulProblem& problem) {
  constexpr std::size_t stage = 2 * 128 * 64;
  const Packs packs = packs_of(problem);
  const TileVariant* const tile = usable_tile(tiles, tile_for(problem, {128, 64}), packs.possible);
  if (!tile)
    return false;
  if (tile->side == 64)
    launch_mma<T, 64, 4>(*tile, problem, packs);
  else if (limits().shared_memory >= 2 * 4 * stage)
    launch_mma<T, 128, 4>(*tile, problem, packs);
  else
    launch_mma<T, 128, 3>(*tile, problem, packs);
  return true;
}

}  // namespace

bool matmul_bf16(const MatmulProblem& problem) { return launch_any<bf16>(bf16_tiles, problem); }
bool matmul_tf32(const MatmulProblem& problem) { return launch_any<float>(tf32_tiles, problem); }

}  // namespace likely::kernels::cuda
