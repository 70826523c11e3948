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

// `group` neighbouring channels have their mean and variance in common.
inline Normalised normalise(const std::vector<double>& x, const std::vector<double>& h,
                            const std::vector<double>& scale, double epsilon, std::int64_t images,
                            std::int64_t positions, std::int64_t channels, std::int64_t group = 1) {
  const auto n = static_cast<std::size_t>(images * channels);
  Normalised r{std::vector<double>(n), std::vector<double>(n), x, x,
               std::vector<double>(n), std::vector<double>(n)};
  for (std::int64_t i = 0; i < images; ++i)
    for (std::int64_t first = 0; first < channels; first += group) {
      // f(element, channel) for all that have their moments in common
      const auto each = [&](auto f) {
        for (std::int64_t c = first; c < first + group; ++c)
          for (std::int64_t p = 0; p < positions; ++p)
            f(static_cast<std::size_t>((i * positions + p) * channels + c),
              static_cast<std::size_t>(c));
      };
      const double count = static_cast<double>(positions * group);
      double mean = 0, variance = 0, mean_h = 0, mean_hx = 0;
      each([&](std::size_t at, std::size_t) { mean += x[at] / count; });
      each([&](std::size_t at, std::size_t) {
        variance += (x[at] - mean) * (x[at] - mean) / count;
      });
      const double sd = std::sqrt(variance + epsilon);
      each([&](std::size_t at, std::size_t c) {
        const std::size_t s = static_cast<std::size_t>(i * channels) + c;
        r.mean[s] = mean;
        r.variance[s] = variance;
        r.x[at] = (x[at] - mean) / sd;
        r.sum_h[s] += h[at];
        r.sum_hx[s] += h[at] * r.x[at];
        mean_h += scale[c] * h[at] / count;
        mean_hx += scale[c] * h[at] * r.x[at] / count;
      });
      each([&](std::size_t at, std::size_t c) {
        r.data[at] = (scale[c] * h[at] - mean_h - r.x[at] * mean_hx) / sd;
      });
    }
  return r;
}

}  // namespace likely::reference
