// Where the taps of a convolution lie, for the plain kernels of every device.
#pragma once
#include "kernels/convolution.h"
#include "tensor/host_device.h"

namespace likely::kernels {

template <class T>
struct ConvolutionGeometry {
  const ConvolutionProblem& p;

  LIKELY_HD std::int64_t group_in() const { return p.in / p.groups; }
  LIKELY_HD std::int64_t group_out() const { return p.out / p.groups; }

  // The channels that a tap sees from an output; null where it lies in the padding.
  LIKELY_HD T* image_at(std::int64_t batch, std::int64_t row, std::int64_t column, std::int64_t r,
                        std::int64_t c) const {
    const std::int64_t i = row * p.stride.rows + r * p.dilation.rows - p.top;
    const std::int64_t j = column * p.stride.columns + c * p.dilation.columns - p.left;
    const bool inside = i >= 0 && i < p.image.rows && j >= 0 && j < p.image.columns;
    return inside ? x() + ((batch * p.image.rows + i) * p.image.columns + j) * p.in : nullptr;
  }

  // The channels of the output whose tap sees this pixel; null where there is none.
  LIKELY_HD T* output_at(std::int64_t batch, std::int64_t i, std::int64_t j, std::int64_t r,
                         std::int64_t c) const {
    const std::int64_t down = i + p.top - r * p.dilation.rows;
    const std::int64_t across = j + p.left - c * p.dilation.columns;
    const std::int64_t row = down / p.stride.rows, column = across / p.stride.columns;
    const bool there = down >= 0 && across >= 0 && down % p.stride.rows == 0 &&
                       across % p.stride.columns == 0 && row < p.output.rows &&
                       column < p.output.columns;
    return there ? y() + ((batch * p.output.rows + row) * p.output.columns + column) * p.out
                 : nullptr;
  }

  LIKELY_HD T* weight_at(std::int64_t out, std::int64_t r, std::int64_t c) const {
    return w() + ((out * p.kernel.rows + r) * p.kernel.columns + c) * group_in();
  }

  LIKELY_HD T* x() const { return static_cast<T*>(p.x); }
  LIKELY_HD T* w() const { return static_cast<T*>(p.w); }
  LIKELY_HD T* y() const { return static_cast<T*>(p.y); }
};

}  // namespace likely::kernels
