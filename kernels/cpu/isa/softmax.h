// The hot loops of softmax, one table an instruction set.
#pragma once
#include "kernels/random_numbers.h"

namespace likely::kernels {

// Rows of x [rows, columns], one column or more, to out: as many, or a number a row.
template <class Stored, class Computed>
struct SoftmaxLoops {
  using Rows = void(const Stored* x, std::int64_t rows, std::int64_t columns, Stored* out);
  Rows* softmax;
  Rows* log_softmax;
  Rows* log_sum_exp;
  // Of the class index[row], a number a row; and log-sum-exp of the row.
  void (*log_prob)(const Stored* x, std::int64_t rows, std::int64_t columns,
                   const std::int64_t* index, Stored* out, Computed* log_sum_exp);
  void (*log_prob_gradient)(const Stored* g, const Stored* x, std::int64_t rows,
                            std::int64_t columns, const std::int64_t* index,
                            const Computed* log_sum_exp, Stored* out);
  // Rows `first` to `end`, drawn; x and out begin with row 0.
  void (*sample)(const Stored* x, std::int64_t first, std::int64_t end, std::int64_t columns,
                 const PhiloxStream& stream, std::int64_t* out);
};

struct SoftmaxTable {
  SoftmaxLoops<float, float> f32;
  SoftmaxLoops<double, double> f64;
  SoftmaxLoops<std::uint16_t, float> bf16;
};
namespace isa_v3 {
extern const SoftmaxTable softmax_table;
}
namespace isa_v4 {
extern const SoftmaxTable softmax_table;
}

}  // namespace likely::kernels
