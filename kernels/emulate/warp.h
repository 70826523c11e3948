// Barriers, shuffles and votes, with CUDA's names and masks. Lanes that exchange values meet; the
// last to come hands the values round.
#pragma once
#include <type_traits>

#include "kernels/emulate/engine.h"

namespace likely::kernels::emulate {

template <class T>
struct Shuffle {
  T value, result;
  int from;  // a lane of the warp
  Site site;
};

// A value from another lane, which must have come too.
template <class T>
T shuffle(const char* what, unsigned mask, T value, int from, Site site) {
  static_assert(std::is_arithmetic_v<T>, "shuffles move numbers");
  Shuffle<T> mine{value, value, from, site};
  meet(
      mask, what, &mine,
      [](const Lanes& lanes) {
        for (int lane = 0; lane < 32; ++lane)
          if (lanes.mask >> lane & 1) {
            auto& to = *static_cast<Shuffle<T>*>(lanes.of[lane]);
            if (!(lanes.mask >> to.from & 1))
              fault(to.site, "a shuffle: lane {} reads lane {}, which the mask {:#010x} leaves out",
                    lane, to.from, lanes.mask);
            to.result = static_cast<Shuffle<T>*>(lanes.of[to.from])->value;
          }
      },
      false, site);
  return mine.result;
}

unsigned ballot(const char* what, unsigned mask, bool predicate, Site site);

}  // namespace likely::kernels::emulate

inline void __syncthreads(std::source_location site = std::source_location::current()) {
  likely::kernels::emulate::barrier(site);
}
inline void __syncwarp(unsigned mask = 0xffffffff,
                       std::source_location site = std::source_location::current()) {
  likely::kernels::emulate::meet(mask, "__syncwarp", nullptr, nullptr, true, site);
}

// `width` divides a warp into segments that exchange among themselves.
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32,
              std::source_location site = std::source_location::current()) {
  const int first = likely::kernels::emulate::lane() & -width;
  return likely::kernels::emulate::shuffle("__shfl_sync", mask, value, first + (from & (width - 1)),
                                           site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 std::source_location site = std::source_location::current()) {
  const int lane = likely::kernels::emulate::lane(), from = lane - static_cast<int>(delta);
  return likely::kernels::emulate::shuffle("__shfl_up_sync", mask, value,
                                           from < (lane & -width) ? lane : from, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   std::source_location site = std::source_location::current()) {
  const int lane = likely::kernels::emulate::lane(), from = lane + static_cast<int>(delta);
  return likely::kernels::emulate::shuffle("__shfl_down_sync", mask, value,
                                           from > (lane | (width - 1)) ? lane : from, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32,
                  std::source_location site = std::source_location::current()) {
  const int lane = likely::kernels::emulate::lane(), from = lane ^ lanes;
  return likely::kernels::emulate::shuffle("__shfl_xor_sync", mask, value,
                                           from > (lane | (width - 1)) ? lane : from, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              std::source_location site = std::source_location::current()) {
  return likely::kernels::emulate::ballot("__ballot_sync", mask, predicate, site);
}
inline int __any_sync(unsigned mask, int predicate,
                      std::source_location site = std::source_location::current()) {
  return likely::kernels::emulate::ballot("__any_sync", mask, predicate, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      std::source_location site = std::source_location::current()) {
  return likely::kernels::emulate::ballot("__all_sync", mask, predicate, site) == mask;
}
