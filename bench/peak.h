// What a CPU can multiply and add at most.
#pragma once
#include <chrono>
#include <cstdint>
#include <vector>

#include "bench/median.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"

namespace likely::kernels {

// Twelve independent chains of multiply-adds in registers of one kind, on zeros, `left` times.
#define LIKELY_CHAINS(registers, left)                                                            \
  asm volatile(                                                                                   \
      "vzeroall\n1:\n"                                                                            \
      ".irp r, 4,5,6,7,8,9,10,11,12,13,14,15\n vfmadd231ps %%" registers "0, %%" registers        \
      "1, %%" registers                                                                           \
      "\\r\n .endr\n"                                                                             \
      "dec %0\n jnz 1b\n vzeroall"                                                                \
      : "+r"(left)::"cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

inline double fma_rate() {  // operations a second
  constexpr std::int64_t steps = 20000;
  std::int64_t left = steps;
  const auto start = std::chrono::steady_clock::now();
  if (isa() == Isa::v4)
    LIKELY_CHAINS("zmm", left);
  else
    LIKELY_CHAINS("ymm", left);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return 2.0 * 12 * steps * (isa() == Isa::v4 ? 16 : 8) / took.count();
}

// Floating-point operations a second of f32 multiply-adds that touch no memory, all threads.
inline double measure_peak() {
  std::vector<double> totals;
  for (int round = 0; round < 25; ++round) {
    std::vector<double> rates(static_cast<std::size_t>(threads()));
    parallel_for(threads(), 1, [&](std::int64_t i, std::int64_t) {
      rates[static_cast<std::size_t>(i)] = fma_rate();
    });
    double total = 0;
    for (const double rate : rates)
      total += rate;
    totals.push_back(total);
  }
  return median(totals);
}

}  // namespace likely::kernels
