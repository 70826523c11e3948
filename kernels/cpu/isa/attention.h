// Attention in f32 as one thread computes it, once for each instruction set.
#pragma once
#include <cstddef>
#include <cstdint>

namespace likely::kernels {

// At once: queries lie along the lanes of vectors, keys one after the other.
inline constexpr std::int64_t attention_queries = 64, attention_keys = 256;

// One head of one element of the batch. Rows of tensors are `row` elements apart.
struct AttentionHead {
  std::int64_t queries, keys, channels, row;
  bool causal;
  float scale;
  const float *q, *k, *v;
  float *out, *log_sum;  // log_sum [queries], adjacent
  const float* g;
  float *dq, *dk, *dv;
};

struct AttentionTable {
  std::size_t (*workspace)(std::int64_t channels);  // in floats
  // Of up to attention_queries queries from `first` on.
  void (*values)(const AttentionHead& of, std::int64_t first, std::int64_t count, float* workspace);
  void (*gradients)(const AttentionHead& of, float* workspace);
};

namespace isa_v3 {
extern const AttentionTable attention_table;
}
namespace isa_v4 {
extern const AttentionTable attention_table;
}

}  // namespace likely::kernels
