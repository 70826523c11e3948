// What normalisation of channels is, and its gradients: plain loops, in f64.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

namespace likely::reference {

// x̂ of x [images, positions, channels] and its gradients for h, the gradient of scale x̂ + shift.
struct Normalised {
  std::vector<double> mean, variance;  // [images, channels]
  std::vector<double> x, data;         // x̂, and the gradient of x
  std::vector<double> sum_h, sum_hx;   // over positions, [images, channels]
};

inline Normalised normalise(const std::vector<double>& x, const std::vector<double>& h,
                            const std::vector<double>& scale, double epsilon, std::int64_t images,
                            std::int64_t positions, std::int64_t channels) {
  const auto n = static_cast<std::size_t>(images * channels);
  Normalised r{std::vector<double>(n), std::vector<double>(n), x, x,
               std::vector<double>(n), std::vector<double>(n)};
  for (std::int64_t i = 0; i < images; ++i)
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto at = [&](std::int64_t p) { return (i * positions + p) * channels + c; };
      const std::int64_t s = i * channels + c;
      const double count = static_cast<double>(positions);
      for (std::int64_t p = 0; p < positions; ++p)
        r.mean[s] += x[at(p)] / count;
      for (std::int64_t p = 0; p < positions; ++p)
        r.variance[s] += (x[at(p)] - r.mean[s]) * (x[at(p)] - r.mean[s]) / count;
      const double sd = std::sqrt(r.variance[s] + epsilon);
      for (std::int64_t p = 0; p < positions; ++p) {
        r.x[at(p)] = (x[at(p)] - r.mean[s]) / sd;
        r.sum_h[s] += h[at(p)];
        r.sum_hx[s] += h[at(p)] * r.x[at(p)];
      }
      for (std::int64_t p = 0; p < positions; ++p)
        r.data[at(p)] =
            scale[c] / sd * (h[at(p)] - r.sum_h[s] / count - r.x[at(p)] * r.sum_hx[s] / count);
    }
  return r;
}

}  // namespace likely::reference
