// The hot loops of random numbers, one table an instruction set.
#pragma once
#include "kernels/random_numbers.h"

namespace likely::kernels {

inline constexpr std::int64_t random_batch = 256;  // numbers made at a time: 64 blocks

// Each writes the 256 numbers of one batch: elements 256 batch … of the draw.
struct RandomTable {
  void (*bits)(const PhiloxStream& stream, std::int64_t batch, std::uint32_t* out);
  void (*uniform)(const PhiloxStream& stream, std::int64_t batch, float* out);
  void (*normal)(const PhiloxStream& stream, std::int64_t batch, float* out);
};
namespace isa_v3 {
extern const RandomTable random_table;
}
namespace isa_v4 {
extern const RandomTable random_table;
}

}  // namespace likely::kernels
