// Forward, reverse, or shuffled: another order in every launch, the same in every run.
#include "kernels/emulate/order.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace likely::kernels::emulate {

void Order::begin() {
  order_ = emulation().order;
  state_ = emulation().seed * 0x9e3779b97f4a7c15u + ++launches_;
  blocks_.clear();
}

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t Order::below(std::uint64_t bound) {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (z ^ z >> 31) % bound;
}

void Order::arrange(std::uint16_t* threads, int count) {
  if (order_ == Emulation::Order::reverse)
    std::reverse(threads, threads + count);
  if (order_ == Emulation::Order::random)
    for (int i = count - 1; i > 0; --i)
      std::swap(threads[i], threads[below(i + 1)]);
}

std::uint64_t Order::block(std::uint64_t turn, std::uint64_t count) {
  if (order_ == Emulation::Order::reverse)
    return count - 1 - turn;
  if (order_ == Emulation::Order::forward)
    return turn;
  if (blocks_.empty()) {
    blocks_.resize(count);
    std::iota(blocks_.begin(), blocks_.end(), std::uint64_t{0});
  }
  std::swap(blocks_[turn], blocks_[turn + below(count - turn)]);
  return blocks_[turn];
}

}  // namespace likely::kernels::emulate
