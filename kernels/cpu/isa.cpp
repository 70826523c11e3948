// The choice of instruction set. Compiled for any x86-64, for it must run where nothing else can.
#include "kernels/cpu/isa.h"

#include <cstdlib>
#include <cstring>

#include "tensor/error.h"
#include "tensor/streams.h"

namespace likely::kernels {
namespace {

// Runs before every other initialiser of the library.
__attribute__((constructor(101))) void refuse_old_cpus() {
  __builtin_cpu_init();
  if (cpu_has(Isa::v3))
    return;
  write_for_eyes(
      "likely: this CPU lacks x86-64-v3 (AVX2, FMA, BMI2). Use one from 2015 (Intel Haswell, AMD "
      "Excavator) or later.\n");
  std::_Exit(1);
}

Isa choose() {
  const Isa best = cpu_has(Isa::v4) ? Isa::v4 : Isa::v3;
  const char* wish = std::getenv("LIKELY_ISA");
  if (!wish || !*wish)
    return best;
  if (std::strcmp(wish, "v3") == 0)
    return Isa::v3;
  require<UsageError>(std::strcmp(wish, "v4") == 0,
                      "LIKELY_ISA: {} is no instruction set of ours. Set v3 or v4.", wish);
  require<UsageError>(best == Isa::v4, "LIKELY_ISA: this CPU lacks x86-64-v4 (AVX-512). Set v3.");
  return Isa::v4;
}

}  // namespace

bool cpu_has(Isa level) {
  return level == Isa::v4 ? __builtin_cpu_supports("x86-64-v4")
                          : __builtin_cpu_supports("x86-64-v3");
}

Isa isa() {
  static const Isa chosen = choose();
  return chosen;
}

}  // namespace likely::kernels
