// What channels of a group share in normalisation, on every device.
#pragma once
#include <cstdint>

#include "tensor/host_device.h"

namespace likely::kernels {

// A mean of rounded sums is a little off, by the mean of the deviations from it: `sum` / count.
// That is put right where it shows next to the spread: where values are far from 0, or all the
// same. `squares` is the sum of the squared deviations from the mean as it was, and becomes that
// from it.
template <class A>
LIKELY_HD void correct_moments(A& mean, A& squares, A sum, A count) {
  const A shows = A(sizeof(A) == sizeof(float) ? 0x1p-40 : 0x1p-98);  // (8 ε)²
  const A off = sum / count, part = off * sum;
  if (part > shows * squares) {
    squares = squares > part ? squares - part : A(0);
    mean += off;
  }
}

// Moments of channels of equally many elements become those of all, each channel's the same (Chan,
// Golub, LeVeque 1983). In double, as a group may be all channels. With `offset` (or null) they are
// those of x + offset, and the mean is less the channel's offset: x - mean is then x + offset less
// its mean.
template <class A>
LIKELY_HD void share_moments(A* mean, A* variance, const A* offset, std::int64_t group) {
  double sum = 0, squares = 0;
  const auto mean_of = [&](std::int64_t c) {
    return static_cast<double>(mean[c]) + (offset ? offset[c] : A(0));
  };
  for (std::int64_t c = 0; c < group; ++c)
    sum += mean_of(c);
  double of_all = sum / group, off = 0;
  for (std::int64_t c = 0; c < group; ++c) {
    const double apart = mean_of(c) - of_all;
    squares += variance[c] + apart * apart;
    off += apart;
  }
  correct_moments(of_all, squares, off, static_cast<double>(group));
  for (std::int64_t c = 0; c < group; ++c) {
    mean[c] = static_cast<A>(of_all - (offset ? offset[c] : A(0)));
    variance[c] = static_cast<A>(squares / group);
  }
}

// Σ of scale times a sum over the channels of a group, from its first one on; 1 for no scale.
template <class A>
LIKELY_HD A group_sum(const A* sums, const A* scale, std::int64_t group) {
  double sum = 0;
  for (std::int64_t c = 0; c < group; ++c)
    sum += static_cast<double>(sums[c]) * (scale ? scale[c] : A(1));
  return static_cast<A>(sum);
}

}  // namespace likely::kernels
