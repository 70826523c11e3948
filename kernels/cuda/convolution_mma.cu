// Convolutions by tensor cores: of bf16, and of f32 rounded to tf32.
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/convolution_tiles.h"
#include "kernels/cuda/matmul_mma.h"

namespace likely::kernels::cuda {
namespace {

template <class T>
struct Mma {
  template <int tile, Adjacent a, Adjacent b, bool packs>
  using Way = cuda::Way<T, tile, tile * 2, tile == 128 ? 3 : 4, a, b, packs>;
};

const TileVariant bf16_pixels[] = {
    pixels_tile("mma pixels 128x128", DType::bf16, Products::f32, {128, true}),
    pixels_tile("mma pixels 64x64", DType::bf16, Products::f32, {64, true}),
    pixels_tile("mma pixels 64x64 elements", DType::bf16, Products::f32, {64, false})};
const TileVariant bf16_weights[] = {
    weights_tile("mma weights 128x128", DType::bf16, Products::f32, {128, true}),
    weights_tile("mma weights 64x64", DType::bf16, Products::f32, {64, true}),
    weights_tile("mma weights 64x64 elements", DType::bf16, Products::f32, {64, false})};
const TileVariant tf32_pixels[] = {
    pixels_tile("tf32 pixels 128x128", DType::f32, Products::tf32, {128, true}),
    pixels_tile("tf32 pixels 64x64", DType::f32, Products::tf32, {64, true}),
    pixels_tile("tf32 pixels 64x64 elements", DType::f32, Products::tf32, {64, false}),
    pixels_tile("tf32 pixels 32x32", DType::f32, Products::tf32, {32, true})};
const TileVariant tf32_weights[] = {
    weights_tile("tf32 weights 128x128", DType::f32, Products::tf32, {128, true}),
    weights_tile("tf32 weights 64x64", DType::f32, Products::tf32, {64, true}),
    weights_tile("tf32 weights 64x64 elements", DType::f32, Products::tf32, {64, false})};

}  // namespace

bool convolution_bf16(const PixelsProblem& problem, const Tiling& tiling) {
  return launch_pixels<Mma<bf16>::Way, MmaSums>(bf16_pixels, problem, tiling);
}
bool convolution_bf16(const WeightsProblem& problem, const Tiling& tiling) {
  return launch_weights<Mma<bf16>::Way, MmaSums>(bf16_weights, problem, tiling);
}
bool convolution_tf32(const PixelsProblem& problem, const Tiling& tiling) {
  return launch_pixels<Mma<float>::Way, MmaSums>(tf32_pixels, problem, tiling);
}
bool convolution_tf32(const WeightsProblem& problem, const Tiling& tiling) {
  return launch_weights<Mma<float>::Way, MmaSums>(tf32_weights, problem, tiling);
}

}  // namespace likely::kernels::cuda
