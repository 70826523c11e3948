// The proofs of convolutions: strides, padding on three sides, dilation, every step of the
// epilogue; tiles that are never full.
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/matmul_proofs.h"

namespace likely::kernels::cuda {
namespace {

double bar_for(DType dtype, Products products) {
  return products == Products::tf32 ? 3 * 0x1p-11 : dtype == DType::f32 ? 4e-6 : bar_of(dtype);
}

Tensor small(Inputs& in, const Shape& shape) { return in.uniform(shape, -0.5, 0.5); }

// Which is left to the plain kernel, for its groups.
Proof odd_sizes(DType dtype, Products products) {
  return {"stride, dilation and groups", bar_for(dtype, products), [=](Inputs& in) -> Tensors {
            const Chosen chosen({dtype, products, 0});
            const ConvolutionOptions options{
                .stride = {2, 1}, .padding = {1, 0, 2, 1}, .dilation = {1, 2}, .groups = 2};
            const Tensor x = small(in, {2, 5, 6, 4}), w = small(in, {6, 2, 3, 2});
            const Epilogue tanh{in.normal({6}), Activation::tanh};
            const Epilogue relu{in.normal({4}), Activation::leaky_relu};
            const Tensor y = convolution(x, w, options, tanh), sum = in.normal({6, 2, 3, 2});
            convolution_weight(x, small(in, y.shape()), {2, 3}, options, {sum, true});
            return {y, transposed_convolution(small(in, y.shape()), w, options, {5, 6}, relu), sum};
          }};
}

// Channels of whole packs or of none.
struct Channels {
  std::int64_t in, out;
};
Channels channels_for(const Tiling& tiling) {
  return tiling.packs ? Channels{16, 40} : Channels{11, 37};
}
const ConvolutionOptions uneven{.stride = {2, 1}, .padding = {1, 0, 2, 1}, .dilation = {2, 1}};

Proof both_ways(DType dtype, Products products, const Tiling& tiling) {
  return {"forward and phases", bar_for(dtype, products), [=](Inputs& in) -> Tensors {
            const Chosen chosen({dtype, products, tiling.tile});
            const auto [c, out] = channels_for(tiling);
            const Tensor x = small(in, {2, 12, 12, c}), w = small(in, {out, 3, 4, c});
            const Epilogue tanh{small(in, {out}), Activation::tanh};
            const Epilogue relu{small(in, {c}), Activation::leaky_relu};
            const Tensor y = small(in, {2, 5, 12, out}), image = small(in, {2, 12, 12, c});
            transposed_convolution(y, w, uneven, 12, relu, {image, true});
            return {image, convolution(x, w, uneven, tanh)};
          }};
}

Proof sums(DType dtype, Products products, const Tiling& tiling) {
  return {"weight gradient", bar_for(dtype, products), [=](Inputs& in) -> Tensors {
            const Chosen chosen({dtype, products, tiling.tile});
            const auto [c, out] = channels_for(tiling);
            const Tensor x = small(in, {2, 12, 12, c}), g = small(in, {2, 5, 12, out});
            const Tensor w = small(in, {out, 3, 4, c});
            convolution_weight(x, g, {3, 4}, uneven, {w, true});
            return {w};
          }};
}

// Pixels of many shares.
Proof shares(DType dtype) {
  return {"many shares", bar_for(dtype, Products::f32), [=](Inputs& in) -> Tensors {
            const Chosen chosen({dtype, Products::f32, 64});
            const Tensor x = small(in, {1, 64, 97, 8}), g = small(in, {1, 64, 97, 16});
            return {convolution_weight(x, g, 3, {.padding = 1})};
          }};
}

// Three channels from some, both ways.
Proof few_channels(DType dtype, Products products, bool packs) {
  return {"few channels", bar_for(dtype, products), [=](Inputs& in) -> Tensors {
            const Chosen chosen({dtype, products, 0});
            const std::int64_t some = packs ? 16 : 5;
            const Tensor x = small(in, {2, 12, 12, some}), w = small(in, {3, 3, 4, some});
            const Tensor y = small(in, {2, 5, 12, 3}), g = small(in, {2, 5, 12, some});
            convolution(x, w, uneven, {small(in, {3}), Activation::tanh}, {y, true});
            return {y, transposed_convolution(g, small(in, {some, 3, 4, 3}), uneven, 12)};
          }};
}

}  // namespace

Variant narrow_pixels(const char* name, DType dtype, Products products, bool packs) {
  return {"convolution", name, dtype, few_channels(dtype, products, packs)};
}
Variant plain_convolution(const char* name, DType dtype, Products products) {
  return {"convolution", name, dtype, odd_sizes(dtype, products)};
}
Variant phases_variant(const char* name, DType dtype) {
  return {"convolution", name, dtype, both_ways(dtype, Products::f32, {64, true})};
}
Variant shares_variant(const char* name, DType dtype) {
  return {"convolution", name, dtype, shares(dtype)};
}
TileVariant pixels_tile(const char* name, DType dtype, Products products, const Tiling& tiling) {
  return {
      tiling.tile, tiling.packs, {"convolution", name, dtype, both_ways(dtype, products, tiling)}};
}
TileVariant weights_tile(const char* name, DType dtype, Products products, const Tiling& tiling) {
  return {tiling.tile, tiling.packs, {"convolution", name, dtype, sums(dtype, products, tiling)}};
}

}  // namespace likely::kernels::cuda
