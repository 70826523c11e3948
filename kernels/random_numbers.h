// Numbers from the words of a draw (kernels/random.h): the arithmetic of every backend.
#pragma once
#include "kernels/math.h"
#include "tensor/philox.h"

namespace likely::kernels {

// What all Philox blocks of one draw share: block b has the counter {b, index, update, purpose}.
struct PhiloxStream {
  std::uint32_t key[2];
  std::uint32_t index, update, purpose;
};
LIKELY_HD PhiloxStream philox_stream(std::uint64_t seed, std::uint64_t update,
                                     std::uint32_t purpose, std::uint32_t index) {
  return {{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
          index,
          static_cast<std::uint32_t>(update),
          purpose};
}

// Box & Muller 1958.
struct NormalPair {
  float first, second;
};
LIKELY_HD NormalPair normals_from(std::uint32_t first, std::uint32_t second) {
  const float radius = sqrt(-2.0f * log(uniform_from(first)));
  const SinCos angle = sin_cos_turns(uniform_from(second));
  return {radius * angle.cos, radius * angle.sin};
}

// The upper half of below · (the words, the first one low).
LIKELY_HD std::int64_t integer_from(std::uint32_t first, std::uint32_t second, std::int64_t below) {
  const std::uint64_t r = first | std::uint64_t{second} << 32;
  return static_cast<std::int64_t>(
      static_cast<unsigned __int128>(r) * static_cast<std::uint64_t>(below) >> 64);
}

}  // namespace likely::kernels
