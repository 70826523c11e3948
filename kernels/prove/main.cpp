// likely-prove FIRST MODULE LIBRARY [MODULE LIBRARY]…: what prove_apart() starts.
#include <cstdlib>

#include "kernels/prove_apart.h"

int main(int argc, char** argv) {
  std::vector<likely::kernels::Module> modules;
  for (int i = 2; i + 1 < argc; i += 2)
    modules.push_back({argv[i], argv[i + 1]});
  if (modules.empty())
    return 1;  // not meant for people
  return likely::kernels::run_proofs(std::strtoull(argv[1], nullptr, 10), modules);
}
