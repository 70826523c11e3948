// The vendors' paths as variants, each with what it has to pass. While a case runs, the vendor
// serves its family.
#pragma once
#include "kernels/choice.h"
#include "kernels/convolution.h"
#include "kernels/matmul.h"
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

// A library's paths through one family, by what they compute in.
class VendorPaths {
 public:
  VendorPaths(const char* family, Proof (*proof)(DType, Products), const char* name,
              const char* tf32_name)
      : f32_(family, name, DType::f32, proof(DType::f32, Products::f32)),
        f64_(family, name, DType::f64, proof(DType::f64, Products::f32)),
        bf16_(family, name, DType::bf16, proof(DType::bf16, Products::f32)),
        tf32_(family, tf32_name, DType::f32, proof(DType::f32, Products::tf32)) {}

  // Before each use: throws where that path failed its proof.
  void use(DType dtype, bool tf32) const {
    const Variant& path = tf32                  ? tf32_
                          : dtype == DType::f32 ? f32_
                          : dtype == DType::f64 ? f64_
                                                : bf16_;
    path.require_usable();
    path.launched();
  }

 private:
  const Variant f32_, f64_, bf16_, tf32_;
};

}  // namespace likely::kernels
