// How far results lie from the numbers that another library wrote.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"

namespace likely {

// ‖a - b‖ / ‖b‖, where a norm of b below `least` counts as this much: it is rounding.
inline double relative_distance(const Tensor& a, const Tensor& b, double least = 0) {
  const std::vector<double> x = kernels::to_doubles(a), y = kernels::to_doubles(b);
  REQUIRE(x.size() == y.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (x[i] - y[i]) * (x[i] - y[i]);
    norm += y[i] * y[i];
  }
  return std::sqrt(difference) / std::max(std::sqrt(norm), least);
}

}  // namespace likely
