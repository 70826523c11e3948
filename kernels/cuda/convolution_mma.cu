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

const ConvolutionTiles bf16_pixels =
    pixels_tiles({"mma pixels 128x128", "mma pixels 64x64", "mma pixels 64x64 elements"},
                 DType::bf16, Products::f32);
const ConvolutionTiles bf16_weights =
    weights_tiles({"mma weights 128x128", "mma weights 64x64", "mma weights 64x64 elements"},
                  DType::bf16, Products::f32);
const ConvolutionTiles tf32_pixels =
    pixels_tiles({"tf32 pixels 128x128", "tf32 pixels 64x64", "tf32 pixels 64x64 elements"},
                 DType::f32, Products::tf32);
const ConvolutionTiles tf32_weights =
    weights_tiles({"tf32 weights 128x128", "tf32 weights 64x64", "tf32 weights 64x64 elements"},
                  DType::f32, Products::tf32);

}  // namespace

bool convolution_bf16(const PixelsProblem& problem, const Tiling& tiling) {
  return launch_pixels<Mma<bf16>::Way, MmaSums>(bf16_pixels.all, problem, tiling);
}
bool convolution_bf16(const WeightsProblem& problem, const Tiling& tiling) {
  return launch_weights<Mma<bf16>::Way, MmaSums>(bf16_weights.all, problem, tiling);
}
bool convolution_tf32(const PixelsProblem& problem, const Tiling& tiling) {
  return launch_pixels<Mma<float>::Way, MmaSums>(tf32_pixels.all, problem, tiling);
}
bool convolution_tf32(const WeightsProblem& problem, const Tiling& tiling) {
  return launch_weights<Mma<float>::Way, MmaSums>(tf32_weights.all, problem, tiling);
}

}  // namespace likely::kernels::cuda
