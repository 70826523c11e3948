// The hot loops of normalisation, one table an instruction set.
#pragma once
#include <cstdint>

#include "kernels/activation.h"
#include "tensor/host_device.h"

namespace likely::kernels {

// Most channels at once: in moments and sums, and in the passes that write.
inline constexpr std::int64_t normalise_columns = 128, normalise_columns_written = 1024;

// The tree of moments and sums over the rows of one channel: blocks of so many rows, joined as a
// binary counter does (T(n) = T(m) + T(n - m) blocks, m < n the largest power of two).
LIKELY_HD constexpr std::int64_t normalise_block(std::int64_t channels) {
  std::int64_t rows = 4096;
  for (std::int64_t columns = 1; columns < channels && columns < normalise_columns; columns *= 2)
    rows /= 2;
  return rows;
}

// Rows of some channels. Pointers to what is of channels are at the first one.
template <class S, class A>
struct NormaliseRows {
  std::int64_t rows, stride, columns;  // rows are `stride` elements apart
  const S *x, *g, *y;
  S* out;
  const A *mean, *variance, *scale, *shift;
  const A *sum_shift, *sum_scale;
  std::int64_t first, group;  // the first channel; how many have their moments in common
  A positions, epsilon;       // how many the sums are over
  Activation activation;
  double slope;
};

template <class S, class A>
struct NormaliseLoops {
  using Pair = void(const NormaliseRows<S, A>& of, A* first, A* second);
  Pair* moments;  // mean, and sum of squared deviations
  Pair* sums;     // of h and of h x̂
  // Both, joined: `count` pairs of parts [2][stride], each over `rows` rows, the last over
  // `last_rows`.
  using Join = void(const A* parts, std::int64_t count, std::int64_t stride, std::int64_t columns,
                    std::int64_t rows, std::int64_t last_rows, A* first, A* second);
  Join* join_moments;
  Join* join_sums;
  void (*normalise)(const NormaliseRows<S, A>& of);
  void (*data)(const NormaliseRows<S, A>& of);
};

struct NormaliseTable {
  NormaliseLoops<float, float> f32;
  NormaliseLoops<double, double> f64;
  NormaliseLoops<std::uint16_t, float> bf16;
};
namespace isa_v3 {
extern const NormaliseTable normalise_table;
}
namespace isa_v4 {
extern const NormaliseTable normalise_table;
}

}  // namespace likely::kernels
