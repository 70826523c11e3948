// Matrix products, with bias and activation in the epilogue.
#pragma once
#include "kernels/backend.h"
#include "kernels/epilogue.h"

namespace likely::kernels {

// a [..., m, k] times b [..., k, n] → activation(a b + bias) [..., m, n]; leading axes broadcast.
// Any strides: a transposed view costs no copy. f32, f64, and bf16 (summed in f32).
// Own kernels of f32 and f64 sum over k in ascending order with one FMA accumulator an output, so
// that batch, tile, instruction set, threads and device change no bit. With into.add the
// accumulator starts at what `out` holds. (On cuda, tensor cores of bf16 and tf32 add several terms
// at once; and the few outputs of a transposed a times b over 2,048 terms or more, which are
// gradients of weights, are sums of shares, which the shape fixes.)
Tensor matmul(const Tensor& a, const Tensor& b, const Epilogue& epilogue = {},
              const Into& into = {});

// What a product does with f32 operands, from `--precision`: uses them as they are, or rounds them
// to tf32, 10 bits of fraction, which tensor cores multiply. tf32 is served by cuda alone;
// elsewhere matmul throws UsageError.
enum class Products { f32, tf32 };
void choose_products(Products products);
Products chosen_products();

// Products as a backend sees them: `batch` of them, equally far apart. Strides in elements; 0 where
// an operand is the same for all.
struct MatmulProblem {
  std::int64_t batch, m, n, k;
  DType dtype;
  bool tf32;  // round the operands, which are f32
  const void* a;
  std::int64_t a_batch, a_row, a_column;
  const void* b;
  std::int64_t b_batch, b_row, b_column;
  void* c;
  std::int64_t c_batch, c_row;  // columns of c are adjacent
  bool add;                     // start from what c holds
  bool biased;
  const void* bias;  // [n] adjacent
  Activation activation;
  double slope;
  int plan = 0;  // of a vendor's: the one that its heuristics put first, and those behind it
};

struct MatmulBackend {
  const char* name;
  bool (*serves)(const MatmulProblem& problem);  // pointers may be null, here and in workspace
  std::size_t (*workspace)(const MatmulProblem& problem, int threads);  // bytes
  void (*fill)(const MatmulProblem& problem, void* workspace);
};
Family<MatmulBackend>& matmul_family();

}  // namespace likely::kernels
