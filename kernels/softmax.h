// Softmax, its logarithm, and log-sum-exp along an axis, each shifted by the row's maximum.
#pragma once
#include "kernels/backend.h"
#include "kernels/reduce.h"

namespace likely::kernels {

// Floating-point types; bf16 computes in f32. A row with +inf or NaN, or of -inf alone, gives NaN.
Tensor softmax(const Tensor& x, int axis);
Tensor log_softmax(const Tensor& x, int axis);
// A row of -inf gives -inf, as does one of no elements; one +inf gives +inf; NaN gives NaN.
Tensor log_sum_exp(const Tensor& x, int axis, Keep keep = Keep::no);

enum class SoftmaxKind { softmax, log_softmax, log_sum_exp };
struct SoftmaxProblem {
  SoftmaxKind kind;
  DType dtype;
  std::int64_t rows, columns;  // x [rows, columns] contiguous
  const void* x;
  void* out;  // [rows, columns], or [rows] for log_sum_exp
};
struct SoftmaxBackend {
  const char* name;
  void (*fill)(const SoftmaxProblem& problem);
};
Family<SoftmaxBackend>& softmax_family();

}  // namespace likely::kernels
