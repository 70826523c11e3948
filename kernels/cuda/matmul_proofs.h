// The variants of products, each with what it has to pass.
#pragma once
#include "kernels/cuda/matmul.h"

namespace likely::kernels::cuda {

Variant plain_variant(const char* name, DType dtype, Products products);
Variant narrow_variant(const char* name, DType dtype, Products products);

// A tiled variant of f32, bf16, or f32 rounded to tf32, by copies of packs or of single elements.
struct Tiled {
  DType dtype;
  Products products;
  int tile;  // its side
};
// The tile and the products of a proof while it lives.
class Chosen {
 public:
  explicit Chosen(const Tiled& tiled) {
    forced_tile() = tiled.tile;
    choose_products(tiled.products);
  }
  ~Chosen() {
    forced_tile() = tile_;
    choose_products(products_);
  }
  Chosen(const Chosen&) = delete;

 private:
  const int tile_ = forced_tile();
  const Products products_ = chosen_products();
};

TileVariant packs_tile(const char* name, const Tiled& tiled);
TileVariant elements_tile(const char* name, const Tiled& tiled);

}  // namespace likely::kernels::cuda
