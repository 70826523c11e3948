// Which pixels a window has, and which windows a pixel, for the kernels of every device.
#pragma once
#include "kernels/pool.h"
#include "tensor/host_device.h"

namespace likely::kernels {

// f(tap, pixel of the image) for each tap of the window at (row, column) that lies inside.
template <class F>
LIKELY_HD void each_pixel(const PoolProblem& p, std::int64_t row, std::int64_t column, F f) {
  for (std::int64_t r = 0; r < p.kernel.rows; ++r)
    for (std::int64_t c = 0; c < p.kernel.columns; ++c) {
      const std::int64_t i = row * p.stride.rows + r - p.top;
      const std::int64_t j = column * p.stride.columns + c - p.left;
      if (i >= 0 && i < p.image.rows && j >= 0 && j < p.image.columns)
        f(static_cast<std::int32_t>(r * p.kernel.columns + c), i * p.image.columns + j);
    }
}

// f(tap, window) for each window that has the pixel at (i, j).
template <class F>
LIKELY_HD void each_window(const PoolProblem& p, std::int64_t i, std::int64_t j, F f) {
  for (std::int64_t r = 0; r < p.kernel.rows; ++r)
    for (std::int64_t c = 0; c < p.kernel.columns; ++c) {
      const std::int64_t down = i + p.top - r, across = j + p.left - c;
      if (down < 0 || across < 0 || down % p.stride.rows != 0 || across % p.stride.columns != 0)
        continue;
      const std::int64_t row = down / p.stride.rows, column = across / p.stride.columns;
      if (row < p.windows.rows && column < p.windows.columns)
        f(static_cast<std::int32_t>(r * p.kernel.columns + c), row * p.windows.columns + column);
    }
}

}  // namespace likely::kernels
