// Convolutions in f32 by FMA, bit-equal to the CPU's.
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/convolution_tiles.h"
#include "kernels/cuda/matmul_fma.h"

namespace likely::kernels::cuda {
namespace {

template <int tile, Adjacent a, Adjacent b, bool packs>
using FmaWay = Way<float, tile, tile == 128 ? 256 : tile * 2, tile == 128 ? 3 : 4, a, b, packs>;

TileVariant pixels_of(const char* name, const Tiling& tiling) {
  return pixels_tile(name, DType::f32, Products::f32, tiling);
}
TileVariant weights_of(const char* name, const Tiling& tiling) {
  return weights_tile(name, DType::f32, Products::f32, tiling);
}
const TileVariant pixels[] = {
    pixels_of("pixels 128x128", {128, true}), pixels_of("pixels 64x64", {64, true}),
    pixels_of("pixels 64x64 elements", {64, false}), pixels_of("pixels 32x32", {32, true})};
const TileVariant weights[] = {weights_of("weights 128x128", {128, true}),
                               weights_of("weights 64x64", {64, true}),
                               weights_of("weights 64x64 elements", {64, false})};

}  // namespace

bool convolution_f32(const PixelsProblem& problem, const Tiling& tiling) {
  return launch_pixels<FmaWay, FmaSums>(pixels, problem, tiling);
}
bool convolution_f32(const WeightsProblem& problem, const Tiling& tiling) {
  return launch_weights<FmaWay, FmaSums>(weights, problem, tiling);
}

}  // namespace likely::kernels::cuda
