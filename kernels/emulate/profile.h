// What the device that is emulated can do: the limits that launches are checked against.
#pragma once
#include <cstddef>

#include "kernels/emulate/launch.h"

namespace likely::kernels::emulate {

struct Profile {
  const char* name;
  int major, minor;
  std::size_t shared_memory;     // bytes a block may opt in to
  int multiprocessors, threads;  // of a multiprocessor
};
const Profile& profile();  // the one that emulation() names

constexpr std::size_t shared_memory_unasked = 48 * 1024;  // what any launch may have
void allow_shared_memory(const void* kernel, std::size_t bytes);

void check(const Launch& launch);  // throws Refused

}  // namespace likely::kernels::emulate
