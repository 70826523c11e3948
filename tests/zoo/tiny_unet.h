// The U-Net of tests: two levels, attention on the second, nothing that begins at zero.
#pragma once
#include "zoo/diffusion/denoiser.h"

namespace likely {

inline UnetOptions tiny_unet() {
  return {.width = 4,
          .multipliers = {1, 2},
          .blocks = 1,
          .attention = 1,
          .groups = 2,
          .dropout = 0,
          .last = glorot_uniform()};
}

}  // namespace likely
