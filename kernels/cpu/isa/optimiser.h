// The hot loops of the optimisers, one table an instruction set.
#pragma once
#include <cstdint>

#include "kernels/optimiser_formulas.h"

namespace likely::kernels {

// A range of the flat buffers, and the numbers of its pass.
template <class T>
struct OptimiserRange {
  std::int64_t count;
  T* __restrict values;
  const T* __restrict gradients;
  T* __restrict first;  // moments, where the method has them
  T* __restrict second;
  T* __restrict average;  // or null

  PassNumbers<T> numbers;
};

template <class T>
struct OptimiserLoops {
  void (*adam)(const OptimiserRange<T>& range);
  void (*rms_prop)(const OptimiserRange<T>& range);
  void (*sgd)(const OptimiserRange<T>& range);
  void (*momentum)(const OptimiserRange<T>& range);
  void (*follow)(const OptimiserRange<T>& range);  // moves the average alone
  // Adds up squares in 16 lanes folded in halves. Not finite where an element is not; in f64 the
  // second number is NaN then, for squares of finite ones may overflow.
  void (*squares)(const T* x, std::int64_t count, double* sum, double* finite);
};

struct OptimiserTable {
  OptimiserLoops<float> f32;
  OptimiserLoops<double> f64;
};
namespace isa_v3 {
extern const OptimiserTable optimiser_table;
}
namespace isa_v4 {
extern const OptimiserTable optimiser_table;
}

}  // namespace likely::kernels
