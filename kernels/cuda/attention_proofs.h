// The variants of attention on CUDA (attention.cu), with their proofs.
#pragma once
#include "kernels/attention.h"
#include "kernels/copy.h"
#include "kernels/variant.h"

namespace likely::kernels {

template <class T>
struct AttentionProofs {
  struct Sizes {
    std::int64_t batch, queries, keys, heads, channels;
  };

  static Tensors all_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                        bool causal) {
    const Attended y = attention(q, k, v, {causal});
    const AttentionGradients d = attention_gradients(g, y, q, k, v, {causal});
    return {y.out, y.log_sum, d.q, d.k, d.v};
  }

  static constexpr DType dtype = dtype_of<T>;
  static constexpr double bar = dtype == DType::f64   ? 1e-12
                                : dtype == DType::f32 ? 1e-5
                                                      : 2e-2;  // out is rounded before dots

  static Proof of(const char* name, const Sizes& s, bool causal) {
    return {name, bar, [=](Inputs& in) {
              const Shape queries{s.batch, s.queries, s.heads, s.channels};
              const Shape keys = queries.with(1, s.keys);
              const Tensor q = in.normal(queries), k = in.normal(keys), v = in.normal(keys);
              return all_of(q, k, v, in.normal(queries), causal);
            }};
  }
  static Proof one_behind(const Sizes& s) {
    return {"one element behind", bar, [=](Inputs& in) {
              const Shape shape{s.batch, s.queries, s.heads, s.channels};
              const auto behind = [&] {
                return kernels::one_behind(in.normal({shape.numel() + 1}), shape);
              };
              const Tensor q = behind(), k = behind(), v = behind();
              return all_of(q, k, v, behind(), true);
            }};
  }
};

template <class T>
Variant narrow_attention(const char* name) {
  using P = AttentionProofs<T>;
  return {"attention",
          name,
          P::dtype,
          P::of("exact", {2, 64, 64, 2, 64}, false),
          P::of("ragged", {1, 70, 45, 1, 33}, false),
          P::of("causal", {1, 80, 140, 2, 24}, true),
          P::of("one query", {3, 1, 70, 1, 8}, true),
          P::one_behind({1, 20, 20, 2, 16})};
}
template <class T>
Variant broad_attention(const char* name) {
  using P = AttentionProofs<T>;
  return {"attention",
          name,
          P::dtype,
          P::of("exact", {1, 32, 32, 1, 256}, false),
          P::of("ragged", {1, 37, 50, 2, 131}, false),
          P::of("causal", {1, 40, 60, 1, 72}, true),
          P::one_behind({1, 20, 20, 1, 72})};
}

template <class T, int most_channels>
struct AttentionVariants {
  static Variant make(const char* name, const char* broad_name) {
    return most_channels > 64 ? broad_attention<T>(broad_name) : narrow_attention<T>(name);
  }
  inline static const Variant values = make("values", "values of many channels");
  inline static const Variant query_gradients =
      make("query gradients", "query gradients of many channels");
  inline static const Variant key_gradients =
      make("key gradients", "key gradients of many channels");
};
template <class T>
inline const Variant attention_dots = narrow_attention<T>("dots");

}  // namespace likely::kernels
