// Points in the plane as a picture.
#pragma once
#include "zoo/data/points.h"

namespace likely {

// u8 [1, scatter_side, scatter_side, 3]: `points` over circles of 4 sd around the centres of
// `mixture`, which decides what part of the plane is seen. y grows upwards.
constexpr std::int64_t scatter_side = 512;
Tensor scatter(const Tensor& points, const PointMixture& mixture);

}  // namespace likely
