// The variants of reductions on CUDA (reduce.cu), with their proofs.
#pragma once
#include "kernels/reduce.h"
#include "kernels/variant.h"

namespace likely::kernels {

// position: of argmax, which must be exact.
template <class T, bool position>
struct ReduceProofs {
  static constexpr DType dtype = dtype_of<T>;
  static constexpr double bar = position ? 0 : bar_of(dtype);

  // Positive in the mean, so that no sum is small beside its terms.
  static Tensor uneven(Inputs& in, const Shape& shape) { return in.uniform(shape, -0.7, 1.3); }

  static Tensors results(Inputs& in, const Tensor& x, int axis) {
    if (position)
      return {argmax(x, axis)};
    const Tensor out = uneven(in, x.shape().without(axis));
    return {sum(x, {axis}), reduce(Reduction::mean, x, {axis}), reduce(Reduction::max, x, {axis}),
            sum(x, {axis}, Keep::no, {out, true})};
  }

  static Proof of(const char* name, const Shape& shape, int axis) {
    return {name, bar, [=](Inputs& in) { return results(in, uneven(in, shape), axis); }};
  }
  static Proof one_behind(const Shape& shape, int axis) {
    return {"one element behind", bar, [=](Inputs& in) {
              const Tensor flat = uneven(in, {shape.numel() + 1});
              return results(in, kernels::one_behind(flat, shape), axis);
            }};
  }
  // Ties, infinities and NaN, in rows and in columns.
  static Proof specials(int axis) {
    return {"not numbers", bar, [=](Inputs& in) {
              const double i = __builtin_inf(), n = __builtin_nan("");
              const Tensor x = in.of({5, 5}, {-i, -i, -i, -i, -i,  //
                                              -i, 1,  2,  2,  0,   //
                                              -i, 2,  n,  n,  3,   //
                                              -i, 2,  n,  i,  1,   //
                                              -i, 0,  3,  1,  i});
              return results(in, x, axis);
            }};
  }
  static Proof none(const char* name, const Shape& shape, int axis) {
    return {name, 0, [=](Inputs& in) {
              const Tensor x = in.normal(shape);
              return Tensors{sum(x, {axis}), reduce(Reduction::mean, x, {axis})};
            }};
  }
};

template <class T, bool position>
struct ReduceVariants : private ReduceProofs<T, position> {
  using Proofs = ReduceProofs<T, position>;
  static constexpr const char* family = position ? "argmax" : "reduce";
  static constexpr DType dtype = dtype_of<T>;

  inline static const Variant rows{family,
                                   "rows",
                                   dtype,
                                   Proofs::of("exact", {8, 512}, 1),
                                   Proofs::of("ragged", {37, 1001}, 1),
                                   Proofs::of("few columns", {131, 3}, 1),
                                   Proofs::of("one column", {7, 1}, 1),
                                   Proofs::one_behind({5, 40}, 1),
                                   Proofs::specials(1)};
  inline static const Variant long_rows{family,
                                        "long rows",
                                        dtype,
                                        Proofs::of("exact", {2, 8192}, 1),
                                        Proofs::of("ragged", {3, 4099}, 1),
                                        Proofs::one_behind({2, 4104}, 1)};
  inline static const Variant split_rows{family,
                                         "split rows",
                                         dtype,
                                         Proofs::of("exact", {1, 65536}, 1),
                                         Proofs::of("ragged", {2, 40003}, 1),
                                         Proofs::one_behind({1, 33000}, 1)};
  inline static const Variant columns{family,
                                      "columns",
                                      dtype,
                                      Proofs::of("exact", {64, 256}, 0),
                                      Proofs::of("ragged", {37, 133}, 0),
                                      Proofs::of("few columns", {131, 3}, 0),
                                      Proofs::of("outer", {5, 37, 10}, 1),
                                      Proofs::one_behind({20, 64}, 0),
                                      Proofs::specials(0)};
  inline static const Variant split_columns{family,
                                            "split columns",
                                            dtype,
                                            Proofs::of("exact", {512, 256}, 0),
                                            Proofs::of("ragged", {2, 300, 133}, 1),
                                            Proofs::of("few columns", {5000, 3}, 0),
                                            Proofs::one_behind({400, 128}, 0)};
  inline static const Variant nothing{"reduce", "nothing", dtype, Proofs::none("rows", {3, 0}, 1),
                                      Proofs::none("columns", {3, 0, 4}, 1)};
};

}  // namespace likely::kernels
