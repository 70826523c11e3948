// Philox4x32-10: four random words from a 128-bit counter and a 64-bit key, the same on every
// device.
#pragma once
#include <cstdint>

#include "tensor/host_device.h"

namespace likely {

struct PhiloxBlock {
  std::uint32_t word[4];
};

// Salmon et al. 2011, section 4.3 and table 3: ten rounds, keys bumped by the Weyl constants.
LIKELY_HD PhiloxBlock philox(PhiloxBlock c, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * c.word[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * c.word[2];
    c = {{static_cast<std::uint32_t>(b >> 32) ^ c.word[1] ^ key0, static_cast<std::uint32_t>(b),
          static_cast<std::uint32_t>(a >> 32) ^ c.word[3] ^ key1, static_cast<std::uint32_t>(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

// In (0, 1), never the ends: the middle of one of 2^23 equal cells.
LIKELY_HD float uniform_from(std::uint32_t word) {
  return (static_cast<float>(static_cast<std::int32_t>(word >> 9)) + 0.5f) * 0x1p-23f;
}

}  // namespace likely
