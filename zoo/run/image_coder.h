// Images as one stream of an arithmetic coder, to which an autoregressive model gives the
// probabilities.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "zoo/run/autoregressive.h"

namespace likely {

// How many elements of all images are coded, now and then.
using ElementsDone = std::function<void(std::int64_t)>;

// Images [n, height, width, channels] of evenly spaced `levels` in [0, 1], given their labels i64
// [n] where the model takes labels: a batch of them after
// another, in each all images' first elements, then their second ones, and so on.
std::vector<std::uint8_t> compress(const Autoregressive& model, const Tensor& images,
                                   const Tensor& labels, int levels, const ElementsDone& done);

// The images of that shape, of a stream that `compress` wrote with the same model on the same
// device.
Tensor decompress(const Autoregressive& model, std::span<const std::uint8_t> bytes,
                  const Shape& images, const Tensor& labels, int levels, Device device,
                  const ElementsDone& done);

}  // namespace likely
