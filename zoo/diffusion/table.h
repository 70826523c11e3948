// Table: numbers by time, made once and kept on the device that asks for them.
#pragma once
#include "tensor/random.h"

namespace likely {

class Table {
 public:
  Table() = default;
  explicit Table(Tensor rows) : rows_(std::move(rows)) {}  // [steps, …] on the host
  // Rows by i64 [n], on the index's device, in this type.
  Tensor at(const Tensor& step, DType dtype) const;

 private:
  Tensor rows_;
  mutable Tensor there_;  // on the device that asked last
};

}  // namespace likely
