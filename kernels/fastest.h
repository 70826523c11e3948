// `--kernels FAMILY=fastest`: own or vendor for one problem, by measuring both on it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "kernels/backend.h"

namespace likely::kernels {

// One problem, and what it takes to solve it either way.
struct Contest {
  const char* family;
  std::string key;     // all that may decide beside device and library, as it is remembered
  const void* result;  // null on `meta`
  DType dtype;
  bool tf32;
  std::int64_t elements, terms;                  // of the result, and of one of its sums
  bool add;                                      // it starts from what the result holds
  std::function<std::size_t(Source)> workspace;  // bytes
  std::function<void(Source, void* result, void* workspace)> run;
};

// Remembered (choice.h) where it was measured before; own on `meta`, where nothing can be. The
// vendor's is chosen only if its result agrees with own, up to rounding. Neither the result nor the
// allocator is touched.
Source winner_of(const Contest& contest);

}  // namespace likely::kernels
