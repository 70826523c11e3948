// The order in which blocks and threads take their turns: any is right, so any may be tried.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/cuda.h"

namespace likely::kernels::emulate {

class Order {
 public:
  void begin();  // of a launch: reads kernels/cuda.h's emulation()

  // Reorders threads that are listed in ascending order.
  void arrange(std::uint16_t* threads, int count);

  // Which of `count` blocks runs at this turn.
  std::uint64_t block(std::uint64_t turn, std::uint64_t count);

 private:
  std::uint64_t below(std::uint64_t bound);

  Emulation::Order order_ = Emulation::Order::forward;
  std::uint64_t state_ = 0, launches_ = 0;
  std::vector<std::uint64_t> blocks_;  // of a random launch
};

}  // namespace likely::kernels::emulate
