// What matters of an address to kernels that read up to 16 bytes at once.
#pragma once
#include <cstdint>

namespace likely::kernels {

// 1, 2, 4, 8 or 16 bytes; 16 of null, which stands for memory that is allocated later.
inline std::int64_t alignment(const void* address) {
  const std::uintptr_t bits = reinterpret_cast<std::uintptr_t>(address) | 16;
  return static_cast<std::int64_t>(bits & -bits);
}

}  // namespace likely::kernels
