// Random tensors from a Draw (tensor/random.h): the same bits on every device and for any number of
// threads.
#pragma once
#include "kernels/backend.h"
#include "kernels/random_numbers.h"
#include "tensor/random.h"

namespace likely::kernels {

// Element i comes from word i. f64 and bf16 hold the value that f32 would, rounded.
Tensor random_bits(const Shape& shape, const Draw& draw);                        // i32, all 32 bits
Tensor uniform(const Shape& shape, const Draw& draw, DType dtype = DType::f32);  // (0, 1)
Tensor bernoulli(const Tensor& probability, const Draw& draw);  // 1 where uniform < p, else 0
// Srivastava et al. 2014: x / keep where uniform < keep, else 0. The draw is the mask.
Tensor dropout(const Tensor& x, double keep, const Draw& draw);

// N(0, 1) by Box & Muller 1958: elements 2j and 2j + 1 are r cos 2πv and r sin 2πv with
// r = √(-2 ln u), u and v the uniforms of words 2j and 2j + 1. The largest |value| is 5.77.
Tensor normal(const Shape& shape, const Draw& draw, DType dtype = DType::f32);

// i64 in [0, below): the upper half of below · (words 2i and 2i + 1, the first one low).
Tensor integers(const Shape& shape, std::int64_t below, const Draw& draw);

// A permutation of 0 … n - 1 as i64: the order of 64-bit keys (words as in integers), ties by
// position. Sorted on the host.
Tensor permutation(std::int64_t n, const Draw& draw);

// A uniform as stored: in bf16 at most the largest number below 1, lest it be rounded up to 1.
template <class T>
LIKELY_HD T uniform_as(float u) {
  if constexpr (std::is_same_v<T, bf16>)
    return bf16(at_most(u, 0.99609375f));
  else
    return T(u);
}
template <class T>
LIKELY_HD bool happens(float u, T probability) {
  if constexpr (std::is_same_v<T, bf16>)
    return u < static_cast<float>(probability);
  else
    return u < probability;
}

enum class RandomKind { bits, uniform, normal, bernoulli, dropout, integers };
struct RandomProblem {
  RandomKind kind;
  DType dtype;  // of `out`, and of `given`
  std::int64_t count;
  const void* state;  // StepState, read when the kernel runs
  std::uint32_t purpose, index;
  void* out;
  const void* given = nullptr;  // the probabilities of bernoulli, the x of dropout
  double keep = 1;
  std::int64_t below = 0;
};
// What dropout makes of a value.
template <class T>
LIKELY_HD T kept(float u, T x, double keep) {
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  return u < static_cast<float>(keep) ? T(static_cast<Wide>(x) / static_cast<Wide>(keep)) : T(0.0f);
}
struct RandomBackend {
  const char* name;
  void (*fill)(const RandomProblem& problem);
};
Family<RandomBackend>& random_family();

}  // namespace likely::kernels
