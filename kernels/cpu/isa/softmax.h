// The hot loops of softmax, one table an instruction set.
#pragma once
#include <cstdint>

namespace likely::kernels {

// Rows of x [rows, columns], one column or more, to out: as many, or a number a row.
template <class Stored>
struct SoftmaxLoops {
  using Rows = void(const Stored* x, std::int64_t rows, std::int64_t columns, Stored* out);
  Rows* softmax;
  Rows* log_softmax;
  Rows* log_sum_exp;
};

struct SoftmaxTable {
  SoftmaxLoops<float> f32;
  SoftmaxLoops<double> f64;
  SoftmaxLoops<std::uint16_t> bf16;
};
namespace isa_v3 {
extern const SoftmaxTable softmax_table;
}
namespace isa_v4 {
extern const SoftmaxTable softmax_table;
}

}  // namespace likely::kernels
