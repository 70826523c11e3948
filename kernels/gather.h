// Rows and elements by index, and their adjoints without atomics. Indices are i64 and checked: one
// outside throws.
#pragma once
#include "kernels/backend.h"

namespace likely::kernels {

// x [rows, …], index [n] → [n, …]: row index[i] of x. Any dtype.
Tensor take(const Tensor& x, const Tensor& index);
// The adjoint: g [n, …] added into a zero [rows, …] at rows index[i], in ascending i.
Tensor scatter_add(const Tensor& g, const Tensor& index, std::int64_t rows);

// x [n, classes], index [n] → [n]: element index[i] of row i.
Tensor pick(const Tensor& x, const Tensor& index);
// The adjoint: g [n] → [n, classes], zero but for element index[i] of row i.
Tensor place(const Tensor& g, const Tensor& index, std::int64_t classes);

// While one is alive, this thread does not wait for a GPU's indices: what an index out of range
// would have read or written is NaN, as in a recording. For work whose results something looks at
// later, as the guard of an update does (kernels/optimiser.h).
struct LateIndexChecks {
  LateIndexChecks();
  LateIndexChecks(const LateIndexChecks&) = delete;
  ~LateIndexChecks();
};

struct GatherProblem {
  DType dtype;
  std::int64_t rows, count, width;  // rows of the table, indices, elements a row
  const void* from;
  const std::int64_t* index;
  void* to;
};
struct GatherBackend {
  const char* name;
  void (*take)(const GatherProblem& problem);
  void (*scatter_add)(const GatherProblem& problem);
  void (*pick)(const GatherProblem& problem);
  void (*place)(const GatherProblem& problem);
};
Family<GatherBackend>& gather_family();

}  // namespace likely::kernels
