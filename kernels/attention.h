// Scaled dot-product attention (Vaswani et al. 2017) and its gradients, without a matrix of queries
// by keys in memory: blocks of scores, softmax by running maxima and sums (Rabe & Staats 2021; Dao
// et al. 2022, algorithms 1 and 4).
#pragma once
#include <optional>

#include "kernels/backend.h"

namespace likely::kernels {

struct AttentionOptions {
  // The last query sees all keys, each one before it a key fewer: where there are as many queries
  // as keys, nothing behind itself.
  bool causal = false;
  std::optional<double> scale = {};  // of the scores; 1 / √channels
};

// softmax(scale q kᵀ) v for each head: q [batch, queries, heads, channels], k and v [batch, keys,
// heads, channels]. f32, f64, and bf16 (computed in f32). A NaN or +∞ among its scores makes a row
// NaN. A row has the same bits alone and in a batch, on any number of threads.
struct Attended {
  Tensor out;      // like q
  Tensor log_sum;  // the logarithm of each softmax's divisor [batch, heads, queries]; f32, or f64
};
Attended attention(const Tensor& q, const Tensor& k, const Tensor& v,
                   const AttentionOptions& how = {});

// For g, the gradient of `out`. Blocks of scores are computed again, and become probabilities by
// log_sum.
struct AttentionGradients {
  Tensor q, k, v;
};
AttentionGradients attention_gradients(const Tensor& g, const Attended& y, const Tensor& q,
                                       const Tensor& k, const Tensor& v,
                                       const AttentionOptions& how = {});

// What a backend fills; all tensors contiguous, and none empty.
struct AttentionProblem {
  DType dtype;
  std::int64_t batch, queries, keys, heads, channels;
  bool causal;
  double scale;
  const void *q, *k, *v;
  void *out, *log_sum;  // read by gradients()
  const void* g;
  void *dq, *dk, *dv;
  bool gradients = false;  // what is asked for, where pointers are null
  int plan = 0;            // of a vendor's: the one that its heuristics put first, and those behind
};
struct AttentionBackend {
  const char* name;
  std::size_t (*workspace)(const AttentionProblem& problem, int threads);  // bytes
  void (*values)(const AttentionProblem& problem, void* workspace);        // → out, log_sum
  void (*gradients)(const AttentionProblem& problem, void* workspace);     // → dq, dk, dv
  bool (*serves)(const AttentionProblem& problem) = nullptr;  // pointers may be null; own: all
};
Family<AttentionBackend>& attention_family();

}  // namespace likely::kernels
