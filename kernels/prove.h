// A proof carried out: a case run on a device, as a rule three times, and once on the CPU in f64.
#pragma once
#include <string>

#include "kernels/variant.h"

namespace likely::kernels {

// What became of a case of a variant on a device.
struct Verdict {
  std::string kernel, proof;  // "reduce/rows/f32", "ragged edges"
  double error = 0, bar = 0;  // of the worst element, and what it may be: see Proof::bar
  std::string problem{};      // what else is wrong: a crash, other bits the second time
  std::string where{};        // the first wrong element, "[3, 4] of result 0"; empty where none is
  double value = 0, expected = 0;  // there

  bool passed() const { return problem.empty() && where.empty(); }
};
std::string describe(const Verdict& verdict);  // of one that did not pass, in one line

// One run, of which the results are on the CPU. The reference is that in f64.
Tensors results_of(const Variant& variant, const Proof& proof, DType dtype, Device device);

// Runs whose bits must be equal, and which the CPU must agree with.
Verdict prove(const Variant& variant, const Proof& proof, Device device, int runs = 3);

}  // namespace likely::kernels
