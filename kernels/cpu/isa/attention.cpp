// Blocks of scores and what becomes of them. They lie transposed, [keys, queries], so that softmax
// works on vectors of queries and never across lanes. Products take their terms in ascending order
// of channels, keys or queries (isa/matmul.cpp), so blocks and vectors change no bit.
#include "kernels/cpu/isa/attention.h"

#include "kernels/cpu/isa/matmul.h"
#include "kernels/math.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

constexpr std::int64_t wide = attention_queries, most_keys = attention_keys;
constexpr std::int64_t block = most_keys * wide;

struct Matrix {
  const float* at;
  std::int64_t row, column;
};

// c [m, n] = a [m, k] b [k, n], or added to c.
void product(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix& a, const Matrix& b,
             float* c, std::int64_t c_row, bool add, float* space) {
  product_table.run({m, n, k, a.at, a.row, a.column, b.at, b.row, b.column, c, c_row, add, nullptr,
                     Activation::none, 0},
                    space);
}

std::size_t workspace(std::int64_t channels) {
  std::size_t most = 0;
  const auto needs = [&](std::int64_t m, std::int64_t n, std::int64_t k) {
    // Not adjacent in any direction, so that everything is packed.
    const std::size_t floats = product_table.workspace(
        {m, n, k, nullptr, 0, 0, nullptr, 0, 0, nullptr, 0, false, nullptr, Activation::none, 0});
    most = floats > most ? floats : most;
  };
  needs(most_keys, wide, channels);
  needs(most_keys, channels, wide);
  needs(wide, channels, most_keys);
  return 2 * block + most;
}

// How many keys a query sees.
std::int64_t seen_by(const AttentionHead& of, std::int64_t query) {
  return of.causal ? of.keys - of.queries + query + 1 : of.keys;
}

template <class F>
void each(std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i)
    f(i);
}

// `count` queries from `first` on, `keys` keys from `key` on.
struct Part {
  std::int64_t first, count, key, keys;
};

// [keys, wide]: the scores, scaled; -∞ where a query does not see the key.
void score(const AttentionHead& of, const Part& part, float* scores, float* space) {
  product(part.keys, part.count, of.channels, {of.k + part.key * of.row, of.row, 1},
          {of.q + part.first * of.row, 1, of.row}, scores, wide, false, space);
  for (std::int64_t j = 0; j < part.keys; ++j, scores += wide) {
    each(part.count, [=, scale = of.scale](std::int64_t i) { scores[i] *= scale; });
    const std::int64_t blind = part.key + j + 1 - seen_by(of, part.first);
    for (std::int64_t i = 0; i < blind && i < part.count; ++i)
      scores[i] = -__builtin_inff();
  }
}

void values(const AttentionHead& of, std::int64_t first, std::int64_t count, float* space) {
  float *const scores = space, *const packed = space + 2 * block;
  float* const out = of.out + first * of.row;
  alignas(64) float largest[wide], sum[wide], factor[wide];
  for (std::int64_t i = 0; i < wide; ++i) {
    largest[i] = -__builtin_inff();
    sum[i] = 0;
  }
  const std::int64_t seen = seen_by(of, first + count - 1);
  for (std::int64_t key = 0; key < seen; key += most_keys) {
    const Part part{first, count, key, seen - key < most_keys ? seen - key : most_keys};
    score(of, part, scores, packed);
    each(count, [&](std::int64_t i) { factor[i] = largest[i]; });
    for (std::int64_t j = 0; j < part.keys; ++j) {
      const float* const s = scores + j * wide;
      each(count, [&](std::int64_t i) { largest[i] = s[i] > largest[i] ? s[i] : largest[i]; });
    }
    each(count, [&](std::int64_t i) {
      factor[i] = exp(factor[i] - largest[i]);
      sum[i] *= factor[i];
    });
    for (std::int64_t j = 0; j < part.keys; ++j) {
      float* const s = scores + j * wide;
      each(count, [&](std::int64_t i) {
        s[i] = exp(s[i] - largest[i]);
        sum[i] += s[i];
      });
    }
    for (std::int64_t i = 0; key > 0 && i < count; ++i)
      each(of.channels, [row = out + i * of.row, f = factor[i]](std::int64_t c) { row[c] *= f; });
    product(count, of.channels, part.keys, {scores, 1, wide}, {of.v + key * of.row, of.row, 1}, out,
            of.row, key > 0, packed);
  }
  for (std::int64_t i = 0; i < count; ++i)
    each(of.channels, [row = out + i * of.row, f = 1 / sum[i]](std::int64_t c) { row[c] *= f; });
  float* const log_sum = of.log_sum + first;
  each(count, [&](std::int64_t i) { log_sum[i] = largest[i] + log(sum[i]); });
}

// Σ a b, sixteen sums side by side.
float dot(const float* a, const float* b, std::int64_t count) {
  constexpr std::int64_t lanes = 16;
  alignas(64) float sum[lanes] = {};
  std::int64_t c = 0;
  for (; c + lanes <= count; c += lanes)
    each(lanes, [&](std::int64_t l) { sum[l] = multiply_add(a[c + l], b[c + l], sum[l]); });
  for (; c < count; ++c)
    sum[c % lanes] = multiply_add(a[c], b[c], sum[c % lanes]);
  for (std::int64_t half = lanes / 2; half > 0; half /= 2)
    for (std::int64_t l = 0; l < half; ++l)
      sum[l] += sum[l + half];
  return sum[0];
}

// With p the probabilities: dv = pᵀ g, ds = p ∘ (g vᵀ - rowsum(g ∘ out)) (scaled), dq = ds k,
// dk = dsᵀ q.
void gradients(const AttentionHead& of, float* space) {
  float *const p = space, *const ds = p + block, *const packed = ds + block;
  for (std::int64_t j = 0; j < of.keys; ++j)
    for (std::int64_t c = 0; c < of.channels; ++c)
      of.dk[j * of.row + c] = of.dv[j * of.row + c] = 0;
  for (std::int64_t first = 0; first < of.queries; first += wide) {
    const std::int64_t count = of.queries - first < wide ? of.queries - first : wide;
    const std::int64_t seen = seen_by(of, first + count - 1), at = first * of.row;
    const float* const log_sum = of.log_sum + first;
    alignas(64) float dots[wide];
    for (std::int64_t i = 0; i < count; ++i)
      dots[i] = dot(of.g + at + i * of.row, of.out + at + i * of.row, of.channels);
    for (std::int64_t key = 0; key < seen; key += most_keys) {
      const Part part{first, count, key, seen - key < most_keys ? seen - key : most_keys};
      const std::int64_t there = key * of.row;
      score(of, part, p, packed);
      product(part.keys, count, of.channels, {of.v + there, of.row, 1}, {of.g + at, 1, of.row}, ds,
              wide, false, packed);
      for (std::int64_t j = 0; j < part.keys; ++j)
        each(count, [&, p = p + j * wide, ds = ds + j * wide](std::int64_t i) {
          p[i] = exp(p[i] - log_sum[i]);
          ds[i] = p[i] * (ds[i] - dots[i]) * of.scale;
        });
      product(part.keys, of.channels, count, {p, wide, 1}, {of.g + at, of.row, 1}, of.dv + there,
              of.row, true, packed);
      product(part.keys, of.channels, count, {ds, wide, 1}, {of.q + at, of.row, 1}, of.dk + there,
              of.row, true, packed);
      product(count, of.channels, part.keys, {ds, 1, wide}, {of.k + there, of.row, 1}, of.dq + at,
              of.row, key > 0, packed);
    }
  }
}

}  // namespace

const AttentionTable attention_table{workspace, values, gradients};

}  // namespace likely::kernels::LIKELY_ISA
