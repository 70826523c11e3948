// Matrix products, with bias and activation in the epilogue.
#pragma once
#include "kernels/backend.h"

namespace likely::kernels {

// Activations whose derivative follows from their value, so that nothing but y is kept.
enum class Activation { none, relu, leaky_relu, tanh, sigmoid };

struct Epilogue {
  Tensor bias;  // [n] or undefined
  Activation activation = Activation::none;
  float slope = 0.2f;  // of leaky_relu below zero
};

// a [..., m, k] times b [..., k, n] → activation(a b + bias) [..., m, n]; leading axes broadcast.
// Any strides: a transposed view costs no copy. f32, f64, and bf16 (summed in f32).
// Own f32 kernels sum over k in ascending order with one FMA accumulator an output, so that batch,
// tile, instruction set and threads change no bit. With into.add the accumulator starts at what
// `out` holds.
Tensor matmul(const Tensor& a, const Tensor& b, const Epilogue& epilogue = {},
              const Into& into = {});

// One product of a batch, as a backend sees it. Strides in elements.
struct MatmulProblem {
  std::int64_t m, n, k;
  DType dtype;
  const void* a;
  std::int64_t a_row, a_column;
  const void* b;
  std::int64_t b_row, b_column;
  void* c;
  std::int64_t c_row;  // columns of c are adjacent
  bool add;            // start from what c holds
  const void* bias;    // [n] adjacent, or null
  Activation activation;
  float slope;
};

struct MatmulBackend {
  const char* name;
  std::size_t (*workspace)(const MatmulProblem& problem,
                           int threads);  // bytes; pointers may be null
  void (*fill)(const MatmulProblem& problem, void* workspace);
};
Family<MatmulBackend>& matmul_family();

}  // namespace likely::kernels
