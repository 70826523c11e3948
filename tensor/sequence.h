// Numbers one after the other from a seed, in f64: what checks draw their inputs from.
#pragma once
#include <cmath>
#include <cstdint>
#include <numbers>

#include "tensor/philox.h"

namespace likely {

class Sequence {
 public:
  explicit Sequence(std::uint64_t seed) : seed_(seed) {}

  double uniform() {  // in (0, 1)
    const PhiloxBlock block =
        philox({{static_cast<std::uint32_t>(drawn_++), 0, 0, 0}}, static_cast<std::uint32_t>(seed_),
               static_cast<std::uint32_t>(seed_ >> 32));
    return uniform_from(block.word[0]);
  }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  std::uint64_t seed_, drawn_ = 0;
};

}  // namespace likely
