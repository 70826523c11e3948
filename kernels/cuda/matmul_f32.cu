// Products in f32, bit-equal to the CPU's.
#include "kernels/cuda/matmul_fma.h"
#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

struct Variants {
  const Variant packs, elements;
};
const Variants large{packs_variant("128x128", {DType::f32, Products::f32, 128}),
                     elements_variant("128x128 elements", {DType::f32, Products::f32, 128})};
const Variants medium{packs_variant("64x64", {DType::f32, Products::f32, 64}),
                      elements_variant("64x64 elements", {DType::f32, Products::f32, 64})};
const Variants small{packs_variant("32x32", {DType::f32, Products::f32, 32}),
                     elements_variant("32x32 elements", {DType::f32, Products::f32, 32})};

// No sum takes what lies beyond k, so whole packs need k to be a multiple of theirs.
template <int tile, int threads, int stages>
void launch_f32(const Variants& variants, const MatmulProblem& problem) {
  Packs packs = packs_of(problem);
  packs.possible = packs.possible && problem.k % 4 == 0;
  with_packs(packs, [&](auto a, auto b, auto possible) {
    using W = Way<float, tile, threads, stages, a, b, possible>;
    launch_tiled<W, FmaSums<W>>(possible ? variants.packs : variants.elements, problem);
  });
}

}  // namespace

void matmul_f32(const MatmulProblem& problem) {
  const int tile = tile_for(problem, {128, 64, 32});
  if (tile == 128)
    launch_f32<128, 256, 3>(large, problem);
  else if (tile == 64)
    launch_f32<64, 128, 4>(medium, problem);
  else
    launch_f32<32, 64, 4>(small, problem);
}

}  // namespace likely::kernels::cuda
