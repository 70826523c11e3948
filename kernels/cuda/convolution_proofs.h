// The variants of convolutions, each with what it has to pass.
#pragma once
#include "kernels/cuda/convolution_tiles.h"
#include "kernels/variant.h"

namespace likely::kernels::cuda {

Variant plain_convolution(const char* name, DType dtype, Products products);
Variant phases_variant(const char* name, DType dtype);
Variant shares_variant(const char* name, DType dtype);
Variant narrow_pixels(const char* name, DType dtype, Products products, bool packs);

TileVariant pixels_tile(const char* name, DType dtype, Products products, const Tiling& tiling);
TileVariant weights_tile(const char* name, DType dtype, Products products, const Tiling& tiling);

}  // namespace likely::kernels::cuda
