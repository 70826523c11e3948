// A convolution's geometry, axis by axis.
#include "kernels/convolution_parts.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace likely::kernels {
namespace {

std::int64_t pieces(std::int64_t n, std::int64_t piece) { return (n + piece - 1) / piece; }

struct Line {  // one axis of a problem
  std::int64_t image, output, kernel, stride, dilation, padding;
};
Line rows_of(const ConvolutionProblem& p) {
  return {p.image.rows, p.output.rows, p.kernel.rows, p.stride.rows, p.dilation.rows, p.top};
}
Line columns_of(const ConvolutionProblem& p) {
  return {p.image.columns,  p.output.columns,   p.kernel.columns,
          p.stride.columns, p.dilation.columns, p.left};
}

// Outputs that see the image.
GatherAxis outputs_along(const Line& l) {
  return {l.output, 0, 1, l.stride, -l.padding, l.kernel, l.dilation, 0, 1};
}

// The image's pixels `phase`, phase + stride, …, that see the outputs, in ascending order.
GatherAxis phase_along(const Line& l, std::int64_t phase) {
  const auto reaches = [&](std::int64_t tap) {
    return (phase + l.padding - tap * l.dilation) % l.stride == 0;
  };
  const std::int64_t period = l.stride / std::gcd(l.stride, l.dilation);
  GatherAxis axis{pieces(l.image - phase, l.stride), phase, l.stride, 1, 0, 0,
                  period * l.dilation / l.stride,    0,     -period};
  for (std::int64_t tap = 0; tap < l.kernel; ++tap)
    if (reaches(tap)) {
      axis.taps += 1;
      axis.kernel = tap;
      axis.offset = (phase + l.padding - tap * l.dilation) / l.stride;
    }
  return axis;
}

std::vector<GatherAxis> axes_along(const Line& l, Direction direction) {
  if (direction != Direction::data)
    return {outputs_along(l)};
  std::vector<GatherAxis> phases;
  for (std::int64_t phase = 0; phase < std::min(l.stride, l.image); ++phase)
    phases.push_back(phase_along(l, phase));
  return phases;
}

Gather gather_of(const ConvolutionProblem& p, std::int64_t group, const GatherAxis& rows,
                 const GatherAxis& columns) {
  const bool data = p.direction == Direction::data;
  const Pixels size = data ? p.output : p.image;
  const std::int64_t pitch = data ? p.out : p.in, channels = pitch / p.groups;
  const void* const images = data ? p.y : p.x;
  const auto* const from = images
                               ? static_cast<const std::byte*>(images) +
                                     group * channels * static_cast<std::int64_t>(size_of(p.dtype))
                               : nullptr;
  return {from, size.rows, size.columns, pitch, channels, rows, columns};
}

}  // namespace

std::vector<Gather> gathers_of(const ConvolutionProblem& p, std::int64_t group) {
  std::vector<Gather> gathers;
  for (const GatherAxis& rows : axes_along(rows_of(p), p.direction))
    for (const GatherAxis& columns : axes_along(columns_of(p), p.direction))
      gathers.push_back(gather_of(p, group, rows, columns));
  return gathers;
}

std::int64_t weight_count(const ConvolutionProblem& p) {
  return p.out * p.kernel.rows * p.kernel.columns * (p.in / p.groups);
}

}  // namespace likely::kernels
