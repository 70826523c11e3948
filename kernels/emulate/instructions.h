// What the instructions behind kernels/cuda/device.h mean on a CPU. Addresses are checked as the
// hardware would.
#pragma once
#include <cstdint>

#include "kernels/emulate/engine.h"
#include "kernels/emulate/language.h"

namespace likely::kernels::emulate {

// The block's shared memory.
struct SharedMemory {
  std::byte* begin;
  std::size_t size;
  bool contains(const void* address) const {
    return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(begin) <
           size;
  }
};
LIKELY_EMULATE_HIDDEN extern SharedMemory block_memory;

[[noreturn]] void too_little_shared_memory(std::size_t bytes, Site site);
[[noreturn]] void misaligned(const char* what, const void* address, Site site);
inline void require_aligned16(const char* what, const void* address, Site site) {
  if (reinterpret_cast<std::uintptr_t>(address) % 16 != 0) [[unlikely]]
    misaligned(what, address, site);
}
void count_access(const void* address, Site site);
LIKELY_EMULATE_HIDDEN extern bool counts_bank_conflicts;

inline void* shared_memory(std::size_t bytes, Site site) {
  if (bytes > block_memory.size) [[unlikely]]
    too_little_shared_memory(bytes, site);
  return block_memory.begin;
}

inline void access16(const void* address, Site site) {
  require_aligned16("16 bytes at once", address, site);
  if (counts_bank_conflicts && block_memory.contains(address))
    count_access(address, site);
}

void cp_async16(void* to, const void* from, bool valid, Site site);
void cp_async_commit();
void cp_async_wait(int pending);
void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, bool transposed, Site site);
void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Site site);
void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Site site);
std::uint32_t to_tf32(float x);

}  // namespace likely::kernels::emulate
