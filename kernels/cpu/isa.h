// Which instruction set the hot loops of kernels/cpu/isa/ run with: chosen once, when first asked.
#pragma once

namespace likely::kernels {

enum class Isa {
  v3,  // x86-64-v3: AVX2 and FMA, 256 bits; every machine we run on has it
  v4   // x86-64-v4: AVX-512, 512 bits
};

// The best that this CPU has, or what the environment variable LIKELY_ISA=v3|v4 says.
Isa isa();
bool cpu_has(Isa level);

// Each file of kernels/cpu/isa/ defines one table of functions an instruction set:
//   const Table& table = for_isa(isa_v3::table, isa_v4::table);
template <class Table>
const Table& for_isa(const Table& v3, const Table& v4) {
  return isa() == Isa::v4 ? v4 : v3;
}

}  // namespace likely::kernels
