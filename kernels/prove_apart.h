// Proofs in processes of their own: a kernel that crashes or hangs takes only its process along.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "kernels/prove.h"

namespace likely::kernels {

// A module of kernels beside the library, and the vendor's library that it is linked with, or "".
struct Module {
  std::string file, library;
};

// The cases of all variants that the last module brings, on the device `cuda:index` that the first
// one is. A process (the program likely-prove) names each case before it runs it; if the process
// ends then, or is silent for `silence`, that case has failed, and a new process goes on behind it.
// `begins` hears how many variants there are. Throws where none can be tried.
std::vector<Verdict> prove_apart(const std::vector<Module>& modules, int index,
                                 std::chrono::milliseconds silence,
                                 const std::function<void(std::size_t kernels)>& begins);

// That process: cases from number `first` on, told on the standard output. Its exit status.
int run_proofs(std::size_t first, int index, const std::vector<Module>& modules);

}  // namespace likely::kernels
