// The proofs of products: exact tiles in all layouts, ragged edges and batches with every step of
// the epilogue, the smallest alignment, and strides.
#include <cmath>

#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

struct Sizes {
  std::int64_t m, n, k;
};

std::int64_t stages_of_k(const Tiled& tiled, std::int64_t count) {
  return count * 64 / static_cast<std::int64_t>(size_of(tiled.dtype));
}

// Rounding errors of sums of k products grow like √k; bf16 results are rounded once more.
double bar_for(const Tiled& tiled, std::int64_t k) {
  if (tiled.dtype != DType::f32)
    return bar_of(tiled.dtype);
  return tiled.products == Products::tf32 ? 3 * 0x1p-11
                                          : 2 * std::sqrt(static_cast<double>(k)) * 0x1p-24;
}

// In (-½, ½), so that sums of some dozens of products leave tanh a slope.
Tensor small(Inputs& in, const Shape& shape) { return in.uniform(shape, -0.5, 0.5); }

// The same, one element behind an aligned address.
Tensor behind(Inputs& in, const Shape& shape) {
  return kernels::one_behind(small(in, {shape.numel() + 1}), shape);
}

// Exact tiles, all layouts of both operands, and more stages than a block reads ahead.
Proof four_layouts(const Tiled& tiled) {
  const Sizes sizes{tiled.tile, tiled.tile, stages_of_k(tiled, 5)};
  return {"four layouts", bar_for(tiled, sizes.k), [=](Inputs& in) -> Tensors {
            const Chosen chosen(tiled);
            const auto [m, n, k] = sizes;
            const Tensor a = in.normal({m, k}), at = in.normal({k, m}).transpose();
            const Tensor b = in.normal({k, n}), bt = in.normal({n, k}).transpose();
            return {matmul(a, b), matmul(a, bt), matmul(at, b), matmul(at, bt)};
          }};
}

// Rows and columns that fill no tile: three products that are added to, with bias and tanh.
Proof ragged_batch(const Tiled& tiled) {
  const std::int64_t k = stages_of_k(tiled, 2) + stages_of_k(tiled, 1) / 4;
  return {"ragged batch", bar_for(tiled, k), [=](Inputs& in) -> Tensors {
            const Chosen chosen(tiled);
            const std::int64_t m = tiled.tile + 3, n = tiled.tile + 9;
            const std::int64_t packs = tiled.tile + 8;
            const Epilogue tanh{small(in, {n}), Activation::tanh};
            const Epilogue relu{Tensor(), Activation::leaky_relu};
            const Tensor out = small(in, {3, m, n});
            matmul(small(in, {3, m, k}), small(in, {n, k}).transpose(), tanh, {out, true});
            return {out, matmul(small(in, {k, packs}).transpose(), small(in, {k, packs}), relu)};
          }};
}

// Nothing is aligned, no extent is even; and operands whose elements have gaps between them.
Proof one_behind(const Tiled& tiled) {
  const std::int64_t k = stages_of_k(tiled, 2) + 5;
  return {"one behind, strided", bar_for(tiled, k), [=](Inputs& in) -> Tensors {
            const Chosen chosen(tiled);
            const std::int64_t m = tiled.tile + 3, n = tiled.tile + 9;
            const Tensor out = behind(in, {m, n});
            matmul(behind(in, {m, k}), behind(in, {k, n}), {behind(in, {n}), Activation::sigmoid},
                   {out, true});
            const Tensor a = small(in, {k, 2 * m}).slice(1, 0, 2 * m, 2).transpose();
            const Tensor b = small(in, {k, 3 * n}).slice(1, 1, 3 * n, 3);
            return {out, matmul(a, b, {Tensor(), Activation::relu})};
          }};
}

Proof small_products(DType dtype, Products products) {
  const Tiled plain{dtype, products, 1};
  return {"layouts, batch and epilogue", bar_for(plain, 13), [=](Inputs& in) -> Tensors {
            const Chosen chosen(plain);
            const Tensor a = in.normal({3, 7, 13}), b = in.normal({7, 13}).transpose();
            const Tensor bias = in.normal({7}), out = in.normal({3, 7, 7});
            matmul(a, b, {bias, Activation::sigmoid}, {out, true});
            return {out, matmul(a.transpose(), in.normal({13, 5}).slice(0, 0, 7))};
          }};
}

// Seven columns and one, more lines of k than are read ahead, and a last one that is not whole.
Proof long_sums(DType dtype, Products products) {
  const Tiled narrow{dtype, products, 0};
  constexpr std::int64_t k = 1304;
  return {"long sums", bar_for(narrow, k), [=](Inputs& in) -> Tensors {
            const Chosen chosen(narrow);
            const Tensor a = small(in, {3, 6, k}), b = small(in, {7, k}).transpose();
            const Tensor out = in.normal({3, 6, 7});
            matmul(a, b, {in.normal({7}), Activation::leaky_relu}, {out, true});
            return {out, matmul(small(in, {9, k}), small(in, {1, k}).transpose())};
          }};
}

}  // namespace

Variant narrow_variant(const char* name, DType dtype, Products products) {
  return {"matmul", name, dtype, long_sums(dtype, products)};
}
Variant plain_variant(const char* name, DType dtype, Products products) {
  return {"matmul", name, dtype, small_products(dtype, products)};
}
TileVariant packs_tile(const char* name, const Tiled& tiled) {
  return {
      tiled.tile, true, {"matmul", name, tiled.dtype, four_layouts(tiled), ragged_batch(tiled)}};
}
TileVariant elements_tile(const char* name, const Tiled& tiled) {
  return {tiled.tile, false, {"matmul", name, tiled.dtype, one_behind(tiled)}};
}

}  // namespace likely::kernels::cuda
