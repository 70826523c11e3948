// likely-prove FIRST GPU MODULE LIBRARY [MODULE LIBRARY]…: what prove_apart() starts. And for a
// checker that watches every access, where comparing again what has been proven would take too
// long:
//
//   likely-prove --families MODULE
//   likely-prove --launch MODULE FAMILY FIRST SECONDS
//
// The second launches the cases of a family's kernels from number FIRST on, once each. After so
// many seconds it ends, and says which one is next.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>

#include "kernels/gpu.h"
#include "kernels/prove.h"
#include "kernels/prove_apart.h"
#include "tensor/allocator.h"
#include "tensor/streams.h"

using namespace likely;
using namespace likely::kernels;

namespace {

std::string family_of(const Variant& variant) {
  const std::string name = variant.name();
  return name.substr(0, name.find('/'));
}

void list_families() {
  std::set<std::string> families;
  for (const Variant* variant : all_variants())
    families.insert(family_of(*variant));
  to_stdout("{}\n", fmt::join(families, "\n"));
}

void launch(const std::string& family, std::size_t first, std::chrono::seconds budget) {
  const auto end = std::chrono::steady_clock::now() + budget;
  std::size_t number = 0;
  for (const Variant* variant : all_variants())
    for (const Proof& proof : variant->proofs()) {
      if (family_of(*variant) != family || number++ < first)
        continue;
      if (number - 1 > first && std::chrono::steady_clock::now() > end) {
        to_stdout("next: {}\n", number - 1);
        return;
      }
      to_stdout("{}, {}\n", variant->name(), proof.name);
      results_of(*variant, proof, variant->dtype(), Device::cuda);
      allocator_of(Device::cuda).trim();  // so that the next case's memory is fresh
    }
  require<UsageError>(number > first, "likely-prove: {} has {} cases, there is no case {}.", family,
                      number, first);
}

int run(const std::vector<std::string>& words) {
  if (words.size() < 3)
    return 1;  // not meant for people
  if (words[1].starts_with("--")) {
    open_cuda_unproven(words[2]);
    words[1] == "--families" ? list_families()
                             : launch(words.at(3), std::stoul(words.at(4)),
                                      std::chrono::seconds(std::stoul(words.at(5))));
    return 0;
  }
  std::vector<Module> modules;
  for (std::size_t i = 3; i + 1 < words.size(); i += 2)
    modules.push_back({words[i], words[i + 1]});
  return run_proofs(std::stoul(words[1]), std::stoi(words[2]), modules);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  try {
    return run({argv, argv + argc});
  } catch (const std::exception& error) {
    to_stderr("{}\n", error.what());
    return 1;
  }
}
