// Softmax, its logarithm, and log-sum-exp along an axis, each shifted by the row's maximum; and the
// distribution over classes that a row of logits stands for.
#pragma once
#include "kernels/backend.h"
#include "kernels/reduce.h"
#include "tensor/random.h"

namespace likely::kernels {

// Floating-point types; bf16 computes in f32. A row with +inf or NaN, or of -inf alone, gives NaN.
Tensor softmax(const Tensor& x, int axis);
Tensor log_softmax(const Tensor& x, int axis);
// A row of -inf gives -inf, as does one of no elements; one +inf gives +inf; NaN gives NaN.
Tensor log_sum_exp(const Tensor& x, int axis, Keep keep = Keep::no);

// The logarithm of softmax at one class a row: logits [..., classes], index i64 [...] → [...]. A
// row whose index is not in [0, classes) gives NaN: nothing waits to look at it. log_sum_exp [...]
// is for the gradient, and in f32 where logits are bf16.
struct CategoricalLogProb {
  Tensor log_prob, log_sum_exp;
};
CategoricalLogProb categorical_log_prob(const Tensor& logits, const Tensor& index);
// Its gradient in the logits: ((1 at the index, 0 elsewhere) - softmax) g, of g [...].
Tensor categorical_log_prob_gradient(const Tensor& g, const Tensor& logits, const Tensor& index,
                                     const Tensor& log_sum_exp);
// A class a row with the probabilities of its softmax, i64 [...]: the largest of logits + G, the
// first where several are. G = -log(-log u) (Gumbel), element i of the logits with uniform i of the
// draw; in f32 where logits are bf16.
Tensor categorical(const Tensor& logits, const Draw& draw);

enum class SoftmaxKind { softmax, log_softmax, log_sum_exp, log_prob };
struct SoftmaxProblem {
  SoftmaxKind kind;
  DType dtype;
  std::int64_t rows, columns;  // x [rows, columns] contiguous
  const void* x;
  void* out;  // [rows, columns], or [rows] for log_sum_exp and log_prob
  // of log_prob
  const std::int64_t* index = nullptr;  // [rows]
  void* log_sum_exp = nullptr;          // [rows]
  int plan = 0;                         // of a vendor, which has one
};
struct LogProbGradientProblem {
  DType dtype;  // of all but the index and log_sum_exp
  std::int64_t rows, columns;
  const void *g, *logits;
  const std::int64_t* index;
  const void* log_sum_exp;
  void* out;
};
struct CategoricalProblem {
  DType dtype;
  std::int64_t rows, columns;
  const void* logits;
  const void* state;  // StepState, read when the kernel runs
  std::uint32_t purpose, draw_index;
  std::int64_t* out;
};
struct SoftmaxBackend {
  const char* name;
  void (*fill)(const SoftmaxProblem& problem);
  void (*log_prob_gradient)(const LogProbGradientProblem& problem);
  void (*sample)(const CategoricalProblem& problem);
  bool (*serves)(const SoftmaxProblem& problem) = nullptr;  // of a vendor, which has fill alone
};
Family<SoftmaxBackend>& softmax_family();

}  // namespace likely::kernels
