// Products by tensor cores.
#include "kernels/cuda/matmul_mma.h"
#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

struct Variants {
  const Variant packs, elements;
};
const Variants large_bf16{
    packs_variant("mma 128x128", {DType::bf16, Products::f32, 128}),
    elements_variant("mma 128x128 elements", {DType::bf16, Products::f32, 128})};
const Variants small_bf16{packs_variant("mma 64x64", {DType::bf16, Products::f32, 64}),
                          elements_variant("mma 64x64 elements", {DType::bf16, Products::f32, 64})};
const Variants large_tf32{
    packs_variant("tf32 128x128", {DType::f32, Products::tf32, 128}),
    elements_variant("tf32 128x128 elements", {DType::f32, Products::tf32, 128})};
const Variants small_tf32{
    packs_variant("tf32 64x64", {DType::f32, Products::tf32, 64}),
    elements_variant("tf32 64x64 elements", {DType::f32, Products::tf32, 64})};

template <class T, int tile, int stages>
void launch_mma(const Variants& variants, const MatmulProblem& problem) {
  with_packs(packs_of(problem), [&](auto a, auto b, auto possible) {
    using W = Way<T, tile, tile * 2, stages, a, b, possible>;
    launch_tiled<W, MmaSums<W>>(possible ? variants.packs : variants.elements, problem);
  });
}

// Four stages of large tiles where two blocks with them find room on a multiprocessor, else three.
template <class T>
void launch_any(const Variants& large, const Variants& small, const MatmulProblem& problem) {
  constexpr std::size_t stage = 2 * 128 * 64;
  if (tile_for(problem, {128, 64}) == 64)
    launch_mma<T, 64, 4>(small, problem);
  else if (limits().shared_memory >= 2 * 4 * stage)
    launch_mma<T, 128, 4>(large, problem);
  else
    launch_mma<T, 128, 3>(large, problem);
}

}  // namespace

void matmul_bf16(const MatmulProblem& problem) {
  launch_any<bf16>(large_bf16, small_bf16, problem);
}
void matmul_tf32(const MatmulProblem& problem) {
  launch_any<float>(large_tf32, small_tf32, problem);
}

}  // namespace likely::kernels::cuda
