// Table: numbers by time, made once and kept on the device that asks for them.
#pragma once
#include <functional>

#include "autograd/ops.h"

namespace likely {

class Table {
 public:
  Table() = default;
  explicit Table(Tensor rows) : rows_(std::move(rows)) {}  // [steps, …] on the host
  Table(std::int64_t steps, const std::function<double(std::int64_t t)>& number);  // t from 1
  // Rows by i64 [n], on the index's device, in this type.
  Tensor at(const Tensor& step, DType dtype) const;
  // Of numbers: one for each sample of x, [n, 1, …], with as many axes as x.
  Variable each(const Tensor& step, const Variable& x) const;

 private:
  Tensor rows_;
  mutable Tensor there_;  // on the device that asked last
};

}  // namespace likely
