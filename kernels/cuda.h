// The device `cuda`: a GPU, or its kernels run by the CPU (emulated). Either is a module beside the
// library, opened when it is first asked for.
#pragma once
#include <cstdint>
#include <string>

#include "tensor/device.h"

namespace likely::kernels {

// How emulated kernels run. What is right on every GPU is right whatever stands here.
struct Emulation {
  enum class Order { forward, reverse, random };  // of blocks, and of threads between barriers
  enum class Copies { early, late };              // cp.async lands at once, or at its wait
  Order order = Order::forward;
  Copies copies = Copies::late;
  std::uint64_t seed = 1;              // of random orders
  std::string profile = "a100";        // limits of "rtx40", "a100" or "h100"
  bool counts_bank_conflicts = false;  // it is slow
  // Times that a 16-byte access to shared memory (of eight lanes) or ldmatrix took again, because
  // two of its addresses lie in the same banks.
  std::uint64_t bank_conflicts = 0;
};
// From LIKELY_EMULATE, where that is set: words as in "reverse early h100" or "random=7 late".
Emulation& emulation();
Emulation emulation_from(const std::string& words);  // UsageError

}  // namespace likely::kernels
