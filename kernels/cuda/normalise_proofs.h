// The variants of normalisation on CUDA (normalise.cu), with their proofs.
#pragma once
#include "kernels/copy.h"
#include "kernels/normalise.h"
#include "kernels/variant.h"

namespace likely::kernels {

template <class T>
struct NormaliseProofs {
  static constexpr DType dtype = dtype_of<T>;

  // In f64 where x is, else f32 (for the reference all is f64).
  static DType statistic(Inputs& in) { return in.dtype() == DType::f64 ? DType::f64 : DType::f32; }
  static Tensor of_channels(Inputs& in, std::int64_t channels) {
    return cast(in.uniform({channels}, 0.5, 1.5), statistic(in));
  }

  // What all of them read beside x. What y is must not depend on the device, or slopes would jump:
  // it is an input.
  struct Given {
    Tensor g, y, scale, shift, offset;
    Normalise how;
  };
  static Given given(Inputs& in, const Tensor& x, Activation activation, std::int64_t group) {
    const Tensor g = in.normal(x.shape()), y = in.uniform(x.shape(), -0.9, 0.9);
    const Tensor scale = of_channels(in, x.size(-1)), shift = of_channels(in, x.size(-1));
    const Tensor offset =
        group > 1 ? cast(in.normal({x.size(0), x.size(-1)}), statistic(in)) : Tensor();
    return {g, y, scale, shift, offset, {1e-5, activation, 0.25f}};
  }
  static Tensors parts(Inputs& in, const Tensor& x, Over over, Activation activation,
                       std::int64_t group) {
    const auto [g, y, scale, shift, offset, how] = given(in, x, activation, group);
    const Moments by = moments(x, over, group, offset);
    const NormaliseSums sums = normalise_sums(g, x, y, by, scale, shift, how);
    return {by.mean,
            by.variance,
            normalise(x, by, scale, shift, how),
            normalise(x, by, {}, {}),
            sums.shift,
            sums.scale,
            normalise_data(g, x, y, by, scale, shift, sums, how),
            normalise_data(g, x, y, by, {}, {}, {}, how)};
  }
  // All at once, as normalised() and normalise_gradients() give it.
  static Tensors wholes(Inputs& in, const Tensor& x, Over over, Activation activation,
                        std::int64_t group) {
    const auto [g, y, scale, shift, offset, how] = given(in, x, activation, group);
    const Normalised made = normalised(x, scale, shift, how, over, group, offset);
    const Moments by = moments(x, over, group, offset);
    const NormaliseGradients d = normalise_gradients(g, x, y, by, scale, shift, how);
    return {made.by.mean, made.by.variance, made.y, d.sums.shift, d.sums.scale, d.x};
  }

  using Results = Tensors (*)(Inputs&, const Tensor&, Over, Activation, std::int64_t);
  static Proof of(const char* name, const Shape& shape, Over over, Activation activation,
                  std::int64_t group = 1, Results results = parts) {
    return {name, bar(), [=](Inputs& in) {
              return results(in, in.uniform(shape, -0.5, 1.5), over, activation, group);
            }};
  }
  static Proof whole(const char* name, const Shape& shape, Over over, Activation activation,
                     std::int64_t group = 1) {
    return of(name, shape, over, activation, group, wholes);
  }
  static Proof one_behind(const Shape& shape, Over over = Over::batch,
                          Activation activation = Activation::none, std::int64_t group = 1,
                          Results results = parts) {
    return {"one element behind", bar(), [=](Inputs& in) {
              const Tensor flat = in.uniform({shape.numel() + 1}, -0.5, 1.5);
              return results(in, kernels::one_behind(flat, shape), over, activation, group);
            }};
  }
  static double bar() { return dtype == DType::f64 ? 1e-12 : dtype == DType::f32 ? 1e-5 : 1e-2; }
};

// The moments and sums of few rows, of many that are cut into parts, and the passes that write.
template <class T>
struct NormaliseVariants : private NormaliseProofs<T> {
  using Proofs = NormaliseProofs<T>;
  using Proofs::dtype;

  static Variant few(const char* name) {
    return {"normalise",
            name,
            dtype,
            Proofs::of("rows", {40, 64}, Over::batch, Activation::relu),
            Proofs::of("ragged", {37, 133}, Over::batch, Activation::leaky_relu),
            Proofs::of("images", {5, 6, 7, 10}, Over::image, Activation::tanh),
            Proofs::of("one channel", {3, 50, 1}, Over::image, Activation::sigmoid),
            Proofs::of("silu", {40, 30}, Over::batch, Activation::silu),
            Proofs::one_behind({20, 16})};
  }
  static Variant many(const char* name) {
    return {"normalise",
            name,
            dtype,
            Proofs::of("rows", {5000, 64}, Over::batch, Activation::none),
            Proofs::of("ragged", {2, 2100, 133}, Over::image, Activation::leaky_relu),
            Proofs::of("few channels", {9000, 3}, Over::batch, Activation::relu),
            Proofs::one_behind({4200, 8})};
  }

  static Variant panels(const char* name) {
    return {"normalise",
            name,
            dtype,
            Proofs::whole("groups of a pack", {3, 25, 32}, Over::image, Activation::silu, 4),
            Proofs::whole("groups across packs", {2, 200, 48}, Over::image, Activation::silu, 12),
            Proofs::whole("images", {3, 5, 7, 16}, Over::image, Activation::tanh),
            Proofs::whole("rows", {500, 32}, Over::batch, Activation::leaky_relu),
            Proofs::whole("few rows", {3, 32}, Over::batch, Activation::none),
            Proofs::one_behind({2, 9, 32}, Over::image, Activation::silu, 8, Proofs::wholes)};
  }

  inline static const Variant moments = few("moments");
  inline static const Variant split_moments = many("split moments");
  inline static const Variant sums = few("sums");
  inline static const Variant split_sums = many("split sums");
  inline static const Variant shared{
      "normalise",
      "moments of groups",
      dtype,
      Proofs::of("groups of a pack", {3, 25, 32}, Over::image, Activation::silu, 4),
      Proofs::of("groups across packs", {2, 40, 42}, Over::image, Activation::relu, 6),
      Proofs::of("all channels", {300, 1, 70}, Over::image, Activation::silu, 70)};
  inline static const Variant values = few("values");
  inline static const Variant data = few("data");
  inline static const Variant panel_values = panels("values of panels");
  inline static const Variant panel_gradients = panels("gradients of panels");
};

}  // namespace likely::kernels
