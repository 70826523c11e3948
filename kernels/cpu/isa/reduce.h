// The hot loops of reductions, one table an instruction set.
#pragma once
#include <cstdint>

namespace likely::kernels {

// The tree over n elements depends on n alone. In a block of 512 element i goes to lane i % 16, a
// lane adds its up to 32 elements in order, and lanes fold in halves (l and l + 8, then 4, 2, 1).
// Of n blocks T(n) = T(m) + T(n - m), where m < n is the largest power of two: so equal powers of
// two of blocks can be summed apart and combined by the same rule.
inline constexpr std::int64_t reduce_block = 512;
inline constexpr std::int64_t reduce_columns = 128;  // most columns at once

template <class Stored, class Accumulator>
struct ReduceLoops {
  // out[o][c] = op over r of x[(o · rows + r) · stride + c], o < outer, c < columns ≤
  // reduce_columns; one row or more.
  void (*reduce)(bool max, const Stored* x, std::int64_t outer, std::int64_t rows,
                 std::int64_t stride, std::int64_t columns, Accumulator* out);
  // The same tree over sums of equal powers of two of blocks (the last may be smaller).
  void (*combine)(bool max, const Accumulator* sums, std::int64_t count, std::int64_t columns,
                  Accumulator* out);
};

struct ReduceTable {
  ReduceLoops<float, float> f32;
  ReduceLoops<double, double> f64;
  ReduceLoops<std::uint16_t, float> bf16;
};
namespace isa_v3 {
extern const ReduceTable reduce_table;
}
namespace isa_v4 {
extern const ReduceTable reduce_table;
}

}  // namespace likely::kernels
