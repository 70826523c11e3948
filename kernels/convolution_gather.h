// A convolution as a product: one of its operands is a matrix of pixels and what they see, which is
// gathered and never laid out whole.
#pragma once
#include <cstdint>

#include "tensor/host_device.h"

namespace likely::kernels {

// One axis. The pixels first, first + step, … of one image, `count` of them, see the other one: the
// a-th by tap t its pixel a * stride + offset + t * apart, through the kernel's row or column
// kernel + t * kernel_step.
struct GatherAxis {
  std::int64_t count, first, step;
  std::int64_t stride, offset, taps, apart;
  std::int64_t kernel, kernel_step;
};

// A row for every pixel, which holds the channels that it sees through its taps, row after row of
// them, and zeros for what lies outside.
struct Gather {
  const void* source;                           // [batch, height, width, pitch], from a channel on
  std::int64_t height, width, pitch, channels;  // channels: so many from there
  GatherAxis rows, columns;

  LIKELY_HD std::int64_t length() const { return rows.taps * columns.taps * channels; }
  LIKELY_HD std::int64_t pixels_of(std::int64_t batch) const {
    return batch * rows.count * columns.count;
  }
};

}  // namespace likely::kernels
