// The vendors' paths as variants, each with what it has to pass. While a case runs, the vendor
// serves its family.
#pragma once
#include <algorithm>
#include <deque>

#include "kernels/attention.h"
#include "kernels/choice.h"
#include "kernels/convolution.h"
#include "kernels/copy.h"
#include "kernels/matmul.h"
#include "kernels/normalise.h"
#include "kernels/softmax.h"
#include "kernels/variant.h"

namespace likely::kernels {

class ServedByVendor {
 public:
  ServedByVendor(const char* family, Products products)
      : choice_(family, Choice::vendor), before_(chosen_products()) {
    choose_products(products);
  }
  ServedByVendor(const ServedByVendor&) = delete;
  ~ServedByVendor() { choose_products(before_); }

 private:
  const ChoiceFor choice_;
  const Products before_;
};

inline double vendor_bar(DType dtype, Products products) {
  return products == Products::tf32 ? 3 * 0x1p-11 : dtype == DType::f32 ? 4e-6 : bar_of(dtype);
}

inline Proof vendor_products(DType dtype, Products products) {
  return {"layouts, a batch, what is added to", vendor_bar(dtype, products),
          [=](Inputs& in) -> Tensors {
            const ServedByVendor served("matmul", products);
            const Tensor a = in.uniform({3, 48, 72}, -0.5, 0.5);
            const Tensor b = in.uniform({72, 40}, -0.5, 0.5), bt = in.uniform({40, 72}, -0.5, 0.5);
            const Tensor out = in.normal({3, 48, 40});
            matmul(a, bt.transpose(), {in.normal({40}), Activation::relu}, {out, true});
            return {out, matmul(a, b), matmul(b.transpose(), bt.transpose())};
          },
          false};
}

inline Proof vendor_convolutions(DType dtype, Products products) {
  return {"three directions", vendor_bar(dtype, products),
          [=](Inputs& in) -> Tensors {
            const ServedByVendor served("convolution", products);
            const ConvolutionOptions how{.stride = 2, .padding = 1};
            const Tensor x = in.uniform({2, 12, 12, 16}, -0.5, 0.5);
            const Tensor w = in.uniform({32, 4, 4, 16}, -0.5, 0.5);
            const Tensor g = in.uniform({2, 6, 6, 32}, -0.5, 0.5);
            return {convolution(x, w, how), transposed_convolution(g, w, how, {12, 12}),
                    convolution_weight(x, g, {4, 4}, how)};
          },
          false};
}

// The shares of the keys, their slopes and the results are each rounded to bf16, which makes 4e-3
// of the largest here.
inline const Shape vendor_attention_shape{2, 64, 2, 64};
inline Proof vendor_attention(DType, Products products) {
  return {"values and gradients", 2e-2,
          [=](Inputs& in) -> Tensors {
            const ServedByVendor served("attention", products);
            const auto rows = [&] { return in.normal(vendor_attention_shape); };
            const Tensor q = rows(), k = rows(), v = rows(), g = rows();
            const Attended y = attention(q, k, v);
            const AttentionGradients d = attention_gradients(g, y, q, k, v);
            return {y.out, y.log_sum, d.q, d.k, d.v};
          },
          false};
}

// Sums of 256 terms in f32, in any order: 1.5e-5 of the sum of their magnitudes. In bf16 also the
// rounding of results and of what lies before or behind an activation, 2e-3 each.
inline const Shape vendor_normalise_shape{4, 8, 8, 64};
inline Proof vendor_normalise(DType dtype, Products products) {
  return {"values and gradients, activations", dtype == DType::bf16 ? 2e-2 : 4e-5,
          [=](Inputs& in) -> Tensors {
            const ServedByVendor served("normalise", products);
            const Shape& shape = vendor_normalise_shape;
            const auto of_channels = [&] {
              const DType statistic = in.dtype() == DType::f64 ? DType::f64 : DType::f32;
              return cast(in.uniform({shape[-1]}, 0.5, 1.5), statistic);
            };
            Tensors all;
            for (const Activation activation :
                 {Activation::none, Activation::relu, Activation::leaky_relu}) {
              const Tensor x = in.uniform(shape, -0.5, 1.5), g = in.normal(shape);
              const Tensor sloped = in.normal(shape);  // given, or slopes would jump with rounding
              const Tensor scale = of_channels(), shift = of_channels();
              const Normalise how{1e-5, activation, 0.25f};
              const auto [y, by] = normalised(x, scale, shift, how);
              const NormaliseGradients d = normalise_gradients(g, x, sloped, by, scale, shift, how);
              all.insert(all.end(), {y, by.mean, by.variance, d.x, d.sums.shift, d.sums.scale});
            }
            return all;
          },
          false};
}

inline Proof vendor_softmax(DType dtype, Products products) {
  return {"few columns and many", bar_of(dtype),
          [=](Inputs& in) -> Tensors {
            const ServedByVendor served("softmax", products);
            const Tensor few = in.normal({131, 3}), many = in.normal({37, 1001});
            return {softmax(few, 1), log_softmax(few, 1), softmax(many, 1), log_softmax(many, 1)};
          },
          false};
}

// A library's paths through one family: of the types that it computes in, and of f32 operands
// rounded to tf32.
class VendorPaths {
 public:
  VendorPaths(const char* family, Proof (*proof)(DType, Products), const char* name,
              std::initializer_list<DType> types, const char* tf32_name = nullptr) {
    for (const DType type : types)
      paths_.emplace_back(family, name, type, proof(type, Products::f32));
    if (tf32_name)
      paths_.emplace_back(family, tf32_name, DType::f32, proof(DType::f32, Products::tf32));
  }

  // Before each use: throws where that path failed its proof.
  void use(DType dtype, bool tf32 = false) const {
    const Variant& path =
        tf32 ? paths_.back() : *std::find_if(paths_.begin(), paths_.end(), [&](const Variant& it) {
          return it.dtype() == dtype;
        });
    path.require_usable();
    path.launched();
  }

 private:
  std::deque<Variant> paths_;
};

}  // namespace likely::kernels
