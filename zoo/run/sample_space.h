// SampleSpace: where networks that generate or judge samples compute.
#pragma once
#include "autograd/ops.h"

namespace likely {

// Points as they are, images scaled from [0, 1] to [-1, 1].
class SampleSpace {
 public:
  explicit SampleSpace(const Shape& sample) : sample_(sample) {}
  bool points() const { return sample_.rank() == 1; }
  const Shape& shape() const { return sample_; }
  Variable from_data(const Tensor& samples) const;
  Tensor to_data(const Variable& generated) const;

 private:
  Shape sample_;  // [2], or [height, width, channels]
};

}  // namespace likely
