// Bank conflicts: shared memory has 32 banks of four bytes, so sixteen bytes take one of eight
// groups.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "kernels/cuda.h"
#include "kernels/emulate/block.h"
#include "kernels/emulate/instructions.h"
#include "kernels/emulate/sanitizers.h"

namespace likely::kernels::emulate {
namespace {

// The n-th accesses of eight lanes at one place of the code go together, if those of all have come.
using Place = std::tuple<int, const char*, unsigned, unsigned>;  // quarter of a warp, and the site
struct Accesses {
  std::array<std::vector<const void*>, 8> of;  // lane
  std::size_t done = 0;
};
auto& accesses = *new std::map<Place, Accesses>;

}  // namespace

bool counts_bank_conflicts = false;

void count_conflicts(std::span<const void* const> addresses) {
  if (!counts_bank_conflicts)
    return;
  std::array<std::vector<std::uintptr_t>, 8> groups;
  std::size_t turns = 1;
  for (const void* address : addresses) {
    const std::uintptr_t word = reinterpret_cast<std::uintptr_t>(address) / 16;
    auto& group = groups[word % 8];
    if (std::find(group.begin(), group.end(), word) == group.end())
      group.push_back(word);
    turns = std::max(turns, group.size());
  }
  emulation().bank_conflicts += turns - 1;
}

namespace {

void count(const void* address, Site site) {
  const auto thread = static_cast<int>(threadIdx.x);
  Accesses& here = accesses[{thread / 8, site.file_name(), site.line(), site.column()}];
  here.of[thread % 8].push_back(address);
  const std::size_t n = here.done;
  std::array<const void*, 8> together;
  for (int lane = 0; lane < 8; ++lane) {
    if (here.of[lane].size() <= n)
      return;
    together[lane] = here.of[lane][n];
  }
  count_conflicts(together);
  ++here.done;
}

}  // namespace

void count_access(const void* address, Site site) {
  ignore_begin();  // all threads count in one place
  count(address, site);
  ignore_end();
}

void begin_counting() {
  counts_bank_conflicts = emulation().counts_bank_conflicts;
  accesses.clear();
}

}  // namespace likely::kernels::emulate
