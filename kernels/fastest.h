// `--kernels FAMILY=fastest`: own or vendor for one problem, by measuring both on it.
#pragma once
#include <cstddef>
#include <functional>
#include <string>

#include "kernels/backend.h"

namespace likely::kernels {

// One problem, and what it takes to solve it either way.
struct Contest {
  std::string key;                               // all that may decide, as it is remembered
  const void* result;                            // null on `meta`
  std::size_t bytes;                             // of the result
  bool add;                                      // it starts from what the result holds
  std::function<std::size_t(Source)> workspace;  // bytes
  std::function<void(Source, void* result, void* workspace)> run;
  std::function<bool(const void* own, const void* vendor)> agree;  // up to rounding
};

// Remembered (choice.h) where it was measured before; own on `meta`, where nothing can be. The
// vendor's is chosen only if its result agrees with own. Neither the result nor the allocator is
// touched.
Source winner_of(const Contest& contest);

}  // namespace likely::kernels
