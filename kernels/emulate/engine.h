// What emulated kernels ask of the engine: to wait for one another. A thread that waits gives its
// CPU to the next; there is only one.
#pragma once
#include <cstddef>
#include <source_location>

#include "tensor/error.h"

namespace likely::kernels::emulate {

using Site = std::source_location;

// What a kernel did wrong. Thrown on the kernel's own stack; whoever waits for the launch hears of
// it, with the variant, the block and the thread.
struct Fault : Error {
  using Error::Error;
};
template <class... Arguments>
[[noreturn]] void fault(Site site, fmt::format_string<Arguments...> message,
                        Arguments&&... arguments) {
  throw Fault(fmt::format("{} ({}:{})", fmt::format(message, std::forward<Arguments>(arguments)...),
                          site.file_name(), site.line()));
}

// Waits for all threads of the block that have not returned. All must come from one call site.
void barrier(Site site);

// What the lanes of a warp hand in when they meet: `of[lane]` for the lanes of `mask`.
struct Lanes {
  unsigned mask;
  void* of[32];
};
// Waits for the lanes of `mask` to come with the same mask and the same words; the last of them
// does `together` for all. `ordered`: what they wrote before is seen by all after.
void meet(unsigned mask, const char* what, void* mine, void (*together)(const Lanes&), bool ordered,
          Site site);
int lane();  // of the running thread in its warp

}  // namespace likely::kernels::emulate
