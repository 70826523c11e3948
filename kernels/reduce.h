// Reductions along axes, in a tree fixed by the shape: threads and instruction sets change no bit.
#pragma once
#include "kernels/backend.h"

namespace likely::kernels {

enum class Reduction { sum, mean, max };
enum class Keep { no, yes };  // keep reduced axes with extent 1

// All axes where `axes` is empty. Floating-point types; f32 and bf16 accumulate in f32, f64 in f64.
// sum and mean of no elements are 0 and NaN; max of none throws.
Tensor reduce(Reduction how, const Tensor& x, const std::vector<int>& axes = {},
              Keep keep = Keep::no, const Into& into = {});
inline Tensor sum(const Tensor& x, const std::vector<int>& axes = {}, Keep keep = Keep::no,
                  const Into& into = {}) {
  return reduce(Reduction::sum, x, axes, keep, into);
}

// The sum that undoes a broadcast: x summed over the axes that `shape` lacks or has with extent 1.
Tensor sum_to(const Tensor& x, const Shape& shape, const Into& into = {});

// The position of the (first) largest element along an axis, as i64; NaN counts as largest.
Tensor argmax(const Tensor& x, int axis);

// What a backend fills: x seen as [outer, reduced, inner], contiguous.
struct ReduceProblem {
  Reduction how;
  bool position;  // argmax: where the largest is, as i64
  DType dtype;
  std::int64_t outer, reduced, inner;
  const void* x;
  void* out;  // [outer, inner] contiguous
  bool add;
};
struct ReduceBackend {
  const char* name;
  std::size_t (*workspace)(const ReduceProblem& problem);  // bytes; pointers may be null here
  void (*fill)(const ReduceProblem& problem, void* workspace);
};
Family<ReduceBackend>& reduce_family();

}  // namespace likely::kernels
