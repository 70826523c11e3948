// Random tensors from a Draw (tensor/random.h): the same bits on every device and for any number of
// threads.
#pragma once
#include "kernels/backend.h"
#include "tensor/random.h"

namespace likely::kernels {

Tensor random_bits(const Shape& shape, const Draw& draw);                        // i32, all 32 bits
Tensor uniform(const Shape& shape, const Draw& draw, DType dtype = DType::f32);  // (0, 1)
Tensor normal(const Shape& shape, const Draw& draw,
              DType dtype = DType::f32);                                    // N(0, 1), Box–Muller
Tensor bernoulli(const Tensor& probability, const Draw& draw);              // 1 where uniform < p
Tensor integers(const Shape& shape, std::int64_t below, const Draw& draw);  // i64 in [0, below)

// A permutation of 0 … n - 1 as i64, keyed by the draw: order of random 64-bit keys, ties by
// position.
Tensor permutation(std::int64_t n, const Draw& draw);

enum class RandomKind { bits, uniform, normal };
struct RandomProblem {
  RandomKind kind;
  DType dtype;
  std::int64_t count;
  const void* state;  // StepState, read when the kernel runs
  std::uint32_t purpose, index;
  void* out;
};
struct RandomBackend {
  const char* name;
  void (*fill)(const RandomProblem& problem);
};
Family<RandomBackend>& random_family();

}  // namespace likely::kernels
