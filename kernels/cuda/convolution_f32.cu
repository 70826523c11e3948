// Convolutions in f32 by FMA, bit-equal to the CPU's.
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/convolution_tiles.h"
#include "kernels/cuda/matmul_fma.h"

namespace likely::kernels::cuda {
namespace {

template <int tile, Adjacent a, Adjacent b, bool packs>
using FmaWay = Way<float, tile, tile == 128 ? 256 : 128, tile == 128 ? 3 : 4, a, b, packs>;

const TileVariant pixels[] = {
    {128, true, pixels_variant("pixels 128x128", DType::f32, Products::f32, {128, true})},
    {64, true, pixels_variant("pixels 64x64", DType::f32, Products::f32, {64, true})},
    {64, false, pixels_variant("pixels 64x64 elements", DType::f32, Products::f32, {64, false})}};
const TileVariant weights[] = {
    {128, true, weights_variant("weights 128x128", DType::f32, Products::f32, {128, true})},
    {64, true, weights_variant("weights 64x64", DType::f32, Products::f32, {64, true})},
    {64, false, weights_variant("weights 64x64 elements", DType::f32, Products::f32, {64, false})}};

}  // namespace

bool convolution_f32(const PixelsProblem& problem, const Tiling& tiling) {
  return launch_pixels<FmaWay, FmaSums>(pixels, problem, tiling);
}
bool convolution_f32(const WeightsProblem& problem, const Tiling& tiling) {
  return launch_weights<FmaWay, FmaSums>(weights, problem, tiling);
}

}  // namespace likely::kernels::cuda
