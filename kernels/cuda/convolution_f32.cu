// Convolutions in f32 by FMA, bit-equal to the CPU's.
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/convolution_tiles.h"
#include "kernels/cuda/matmul_fma.h"

namespace likely::kernels::cuda {
namespace {

template <int tile, Adjacent a, Adjacent b, bool packs>
using FmaWay = Way<float, tile, tile == 128 ? 256 : 128, tile == 128 ? 3 : 4, a, b, packs>;

const ConvolutionTiles pixels = pixels_tiles(
    {"pixels 128x128", "pixels 64x64", "pixels 64x64 elements"}, DType::f32, Products::f32);
const ConvolutionTiles weights = weights_tiles(
    {"weights 128x128", "weights 64x64", "weights 64x64 elements"}, DType::f32, Products::f32);

}  // namespace

bool convolution_f32(const PixelsProblem& problem, const Tiling& tiling) {
  return launch_pixels<FmaWay, FmaSums>(pixels.all, problem, tiling);
}
bool convolution_f32(const WeightsProblem& problem, const Tiling& tiling) {
  return launch_weights<FmaWay, FmaSums>(weights.all, problem, tiling);
}

}  // namespace likely::kernels::cuda
