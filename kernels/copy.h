// Copies between layouts and types, and fills.
#pragma once
#include "kernels/backend.h"

namespace likely::kernels {

Tensor contiguous(const Tensor& x);         // x itself where it is already
Tensor cast(const Tensor& x, DType dtype);  // contiguous; x itself where nothing changes
void copy_into(Tensor out,
               const Tensor& x);  // x broadcasts to out; types convert; any strides on both sides
void add_into(Tensor out, const Tensor& x);  // out += x, the same rules; floating-point types
void fill(Tensor out, double value);         // any strides
Tensor full(const Shape& shape, double value, DType dtype = DType::f32, Device device = {});
inline Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {}) {
  return full(shape, 0, dtype, device);
}
Tensor concatenate(const Tensors& parts, int axis);
// Any floating-point type and strides, in row-major order. Zeros on meta, where there is nothing to
// read: so that an evaluation, too, can be planned.
std::vector<double> to_doubles(const Tensor& x);

struct CopyProblem {
  Shape shape;
  DType to_dtype, from_dtype;
  void* to;
  Strides to_strides;
  const void* from;
  Strides from_strides;
  bool add;
};
struct CopyBackend {
  const char* name;
  void (*copy)(const CopyProblem& problem);
  void (*fill)(const CopyProblem& problem, double value);  // `from` unused
};
Family<CopyBackend>& copy_family();

}  // namespace likely::kernels
