// What a product of matrices is: three loops, in f64.
#pragma once
#include <cstdint>
#include <vector>

namespace likely::reference {

// start [m, n] + a [m, k] b [k, n], all row-major.
inline std::vector<double> matmul(const std::vector<double>& a, const std::vector<double>& b,
                                  std::vector<double> start, std::int64_t m, std::int64_t n,
                                  std::int64_t k) {
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      for (std::int64_t p = 0; p < k; ++p)
        start[i * n + j] += a[i * k + p] * b[p * n + j];
  return start;
}

}  // namespace likely::reference
