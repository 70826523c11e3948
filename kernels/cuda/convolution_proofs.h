// The variants of convolutions, each with what it has to pass.
#pragma once
#include <array>

#include "kernels/cuda/convolution_tiles.h"
#include "kernels/variant.h"

namespace likely::kernels::cuda {

Variant plain_convolution(const char* name, DType dtype, Products products);
Variant phases_variant(const char* name, DType dtype);
Variant shares_variant(const char* name, DType dtype);
Variant narrow_pixels(const char* name, DType dtype, Products products, bool packs);

// Tiles of 128 and of 64 by packs, and of 64 by single elements; and what they are called.
struct ConvolutionTiles {
  TileVariant all[3];
};
using TileNames = std::array<const char*, 3>;
ConvolutionTiles pixels_tiles(const TileNames& names, DType dtype, Products products);
ConvolutionTiles weights_tiles(const TileNames& names, DType dtype, Products products);

}  // namespace likely::kernels::cuda
