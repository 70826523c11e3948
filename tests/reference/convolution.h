// What a convolution is: seven loops, in f64, over plain vectors.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/convolution.h"

namespace likely::reference {

using Values = std::vector<double>;

// Images x [batch, image, in] and y [batch, output, out], weights w [out, kernel, in / groups].
struct ConvolutionSizes {
  std::int64_t batch;
  kernels::Pixels image;
  std::int64_t in, out;
  kernels::Pixels kernel;
  kernels::ConvolutionOptions options = {};

  kernels::Pixels output() const {
    const auto& [stride, padding, dilation, groups] = options;
    return {
        (image.rows + padding.top + padding.bottom - dilation.rows * (kernel.rows - 1) - 1) /
                stride.rows +
            1,
        (image.columns + padding.left + padding.right - dilation.columns * (kernel.columns - 1) -
         1) / stride.columns +
            1};
  }
  Shape x_shape() const { return {batch, image.rows, image.columns, in}; }
  Shape y_shape() const { return {batch, output().rows, output().columns, out}; }
  Shape w_shape() const { return {out, kernel.rows, kernel.columns, in / options.groups}; }
};

// Calls f(place in x, place in w, place in y) for every product of the convolution.
template <class F>
void for_products(const ConvolutionSizes& s, F f) {
  const kernels::ConvolutionOptions& o = s.options;
  const std::int64_t in = s.in / o.groups;
  const kernels::Pixels output = s.output();
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t row = 0; row < output.rows; ++row)
      for (std::int64_t column = 0; column < output.columns; ++column)
        for (std::int64_t k = 0; k < s.out; ++k)
          for (std::int64_t r = 0; r < s.kernel.rows; ++r)
            for (std::int64_t c = 0; c < s.kernel.columns; ++c)
              for (std::int64_t l = 0; l < in; ++l) {
                const std::int64_t i = row * o.stride.rows + r * o.dilation.rows - o.padding.top;
                const std::int64_t j =
                    column * o.stride.columns + c * o.dilation.columns - o.padding.left;
                if (i < 0 || i >= s.image.rows || j < 0 || j >= s.image.columns)
                  continue;
                const std::int64_t channel = k / (s.out / o.groups) * in + l;
                f(((b * s.image.rows + i) * s.image.columns + j) * s.in + channel,
                  ((k * s.kernel.rows + r) * s.kernel.columns + c) * in + l,
                  ((b * output.rows + row) * output.columns + column) * s.out + k);
              }
}

}  // namespace likely::reference
