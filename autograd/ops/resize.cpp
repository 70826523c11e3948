#include "autograd/op.h"
#include "autograd/ops.h"
#include "kernels/copy.h"
#include "kernels/pool.h"

namespace likely {
namespace {

const Op pad_op{"pad",
                Case{"each side its own",
                     [](Samples& s) {
                       return pad(s.normal({2, 3, 4, 2}), {1, 0, 2, 3});
                     }},
                Case{"a value", [](Samples& s) {
                       return pad(s.normal({2, 3, 4, 2}), 1, -0.5);
                     }}};
const Op upsample_op{"upsample_nearest",
                     Case{"rows and columns", [](Samples& s) {
                            return upsample_nearest(s.normal({2, 3, 4, 2}), {2, 3});
                          }}};
const Op block_sum_op{"block_sum", Case{"rows and columns", [](Samples& s) {
                                          return block_sum(s.normal({2, 4, 6, 3}), {4, 2});
                                        }}};

void require_image(const char* operation, const Variable& x) {
  require(x.defined() && x.rank() == 4,
          "{}: x is {}, not [batch, height, width, channels]. Reshape it.", operation, x.shape());
}

void require_factor(const char* operation, Pixels factor) {
  require(factor.rows > 0 && factor.columns > 0,
          "{}: {} x {} pixels are no block. Use 1 or more both ways.", operation, factor.rows,
          factor.columns);
  kernels::require_pixels(operation, {factor});  // so that the product fits
  kernels::require_pixels(operation, {Pixels(factor.rows * factor.columns)});
}

}  // namespace

Variable pad(const Variable& x, const Padding& by, double value) {
  require_image("pad", x);
  require(by.top >= 0 && by.bottom >= 0 && by.left >= 0 && by.right >= 0,
          "pad: {}, {}, {}, {} pixels cannot be put on top, bottom, left, right. Use slice to take "
          "some away.",
          by.top, by.bottom, by.left, by.right);
  const std::int64_t height = x.size(1), width = x.size(2);
  kernels::require_pixels("pad", {{by.top, by.left}, {by.bottom, by.right}, {height, width}});
  Tensor y =
      kernels::full({x.size(0), by.top + height + by.bottom, by.left + width + by.right, x.size(3)},
                    value, x.dtype(), x.device());
  kernels::copy_into(y.slice(1, by.top, by.top + height).slice(2, by.left, by.left + width),
                     x.value());
  return pad_op.record(
      std::move(y), {x}, [by, height, width](const Variable& g, const Wants&) -> Variables {
        return {slice(slice(g, 1, by.top, by.top + height), 2, by.left, by.left + width)};
      });
}

Variable upsample_nearest(const Variable& x, Pixels factor) {
  require_image("upsample_nearest", x);
  require_factor("upsample_nearest", factor);
  const std::int64_t n = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3);
  const Tensor apart = kernels::contiguous(x.value()).reshape({n, h, 1, w, 1, c});
  Tensor y = kernels::contiguous(apart.expand({n, h, factor.rows, w, factor.columns, c}))
                 .reshape({n, h * factor.rows, w * factor.columns, c});
  return upsample_op.record(
      std::move(y), {x},
      [factor](const Variable& g, const Wants&) -> Variables { return {block_sum(g, factor)}; });
}

Variable block_sum(const Variable& x, Pixels block) {
  require_image("block_sum", x);
  require_factor("block_sum", block);
  const std::int64_t h = x.size(1), w = x.size(2);
  require(h % block.rows == 0 && w % block.columns == 0,
          "block_sum: {} x {} pixels are not made of blocks of {} x {}. Pad or slice them.", h, w,
          block.rows, block.columns);
  return block_sum_op.record(kernels::pool_sum(x.value(), {}, {block, block}, 1), {x},
                             [block](const Variable& g, const Wants&) -> Variables {
                               return {upsample_nearest(g, block)};
                             });
}

Variable pixel_shuffle(const Variable& x, Pixels factor) {
  require_image("pixel_shuffle", x);
  require_factor("pixel_shuffle", factor);
  const std::int64_t n = x.size(0), h = x.size(1), w = x.size(2);
  const std::int64_t c = x.size(3) / (factor.rows * factor.columns);
  require(c * factor.rows * factor.columns == x.size(3),
          "pixel_shuffle: {} channels are not made of blocks of {} x {}.", x.size(3), factor.rows,
          factor.columns);
  const Variable apart = reshape(x, {n, h, w, c, factor.rows, factor.columns});
  return reshape(permute(apart, {0, 1, 4, 2, 5, 3}), {n, h * factor.rows, w * factor.columns, c});
}

Variable pixel_unshuffle(const Variable& x, Pixels factor) {
  require_image("pixel_unshuffle", x);
  require_factor("pixel_unshuffle", factor);
  const std::int64_t n = x.size(0), c = x.size(3);
  const std::int64_t h = x.size(1) / factor.rows, w = x.size(2) / factor.columns;
  require(h * factor.rows == x.size(1) && w * factor.columns == x.size(2),
          "pixel_unshuffle: {} x {} pixels are not made of blocks of {} x {}. Pad or slice them.",
          x.size(1), x.size(2), factor.rows, factor.columns);
  const Variable apart = reshape(x, {n, h, factor.rows, w, factor.columns, c});
  return reshape(permute(apart, {0, 1, 3, 5, 2, 4}), {n, h, w, c * factor.rows * factor.columns});
}

}  // namespace likely
