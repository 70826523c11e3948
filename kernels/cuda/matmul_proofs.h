// The variants of products, each with what it has to pass.
#pragma once
#include "kernels/cuda/matmul.h"

namespace likely::kernels::cuda {

Variant plain_variant(DType dtype);

// A tiled variant of f32, bf16, or f32 rounded to tf32, by copies of packs or of single elements.
struct Tiled {
  DType dtype;
  Products products;
  int tile;  // its side
};
Variant packs_variant(const char* name, const Tiled& tiled);
Variant elements_variant(const char* name, const Tiled& tiled);

}  // namespace likely::kernels::cuda
