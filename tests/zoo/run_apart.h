// Runs of tiny models that signals may end.
#pragma once
#include "tests/apart.h"
#include "tests/zoo/tiny_run.h"
#include "zoo/run/signals.h"

namespace likely {

// A run in a process of its own, of which nothing is seen; what `apart` returns.
inline int run_apart(const std::string& folder, FileSystem&& files = HastyFileSystem(),
                     const ModelDescription& description = tiny_description()) {
  return apart([&] {
    const Captured messages(2);
    try {
      return run(folder, {{"threads", "1"}}, std::move(files), description);
    } catch (const Interrupted& interrupted) {
      return interrupted.exit_code;
    }
  });
}

}  // namespace likely
