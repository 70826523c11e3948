// What attention is, and its gradients: plain loops over whole rows of scores, in f64.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

namespace likely::reference {

struct AttentionSizes {
  std::int64_t batch, queries, keys, heads, channels;
};
struct Attended {
  std::vector<double> out, log_sum;  // log_sum [batch, heads, queries]
  std::vector<double> dq, dk, dv;    // for g
};

// q, g [batch, queries, heads, channels], k, v [batch, keys, heads, channels].
inline Attended attention(const std::vector<double>& q, const std::vector<double>& k,
                          const std::vector<double>& v, const std::vector<double>& g,
                          const AttentionSizes& of, bool causal, double scale) {
  Attended r;
  r.out.resize(q.size());
  r.dq.resize(q.size());
  r.dk.resize(k.size());
  r.dv.resize(k.size());
  for (std::int64_t b = 0; b < of.batch; ++b)
    for (std::int64_t h = 0; h < of.heads; ++h)
      for (std::int64_t i = 0; i < of.queries; ++i) {
        const auto of_query = [&](std::int64_t c) {
          return static_cast<std::size_t>(((b * of.queries + i) * of.heads + h) * of.channels + c);
        };
        const auto of_key = [&](std::int64_t j, std::int64_t c) {
          return static_cast<std::size_t>(((b * of.keys + j) * of.heads + h) * of.channels + c);
        };
        const std::int64_t seen = causal ? of.keys - of.queries + i + 1 : of.keys;
        std::vector<double> p(static_cast<std::size_t>(seen));
        double largest = -INFINITY, sum = 0, mean_slope = 0;
        for (std::int64_t j = 0; j < seen; ++j) {
          for (std::int64_t c = 0; c < of.channels; ++c)
            p[j] += scale * q[of_query(c)] * k[of_key(j, c)];
          largest = std::max(largest, p[j]);
        }
        for (double& x : p)
          sum += x = std::exp(x - largest);
        r.log_sum.push_back(largest + std::log(sum));
        std::vector<double> slope(p.size());  // of each probability
        for (std::int64_t j = 0; j < seen; ++j) {
          p[j] /= sum;
          for (std::int64_t c = 0; c < of.channels; ++c) {
            r.out[of_query(c)] += p[j] * v[of_key(j, c)];
            r.dv[of_key(j, c)] += p[j] * g[of_query(c)];
            slope[j] += g[of_query(c)] * v[of_key(j, c)];
          }
          mean_slope += p[j] * slope[j];
        }
        for (std::int64_t j = 0; j < seen; ++j)
          for (std::int64_t c = 0; c < of.channels; ++c) {
            const double of_score = scale * p[j] * (slope[j] - mean_slope);
            r.dq[of_query(c)] += of_score * k[of_key(j, c)];
            r.dk[of_key(j, c)] += of_score * q[of_query(c)];
          }
      }
  return r;
}

}  // namespace likely::reference
