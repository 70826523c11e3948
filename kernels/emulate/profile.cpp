// The limits of three generations of GPUs, and the launches that exceed them. (CUDA C++ Programming
// Guide, "Technical Specifications per Compute Capability".)
#include "kernels/emulate/profile.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <map>

#include "kernels/cuda.h"
#include "kernels/emulate/memory.h"
#include "kernels/emulate/sanitizers.h"
#include "kernels/emulate/stream.h"

namespace likely::kernels::emulate {
namespace {

constexpr Profile profiles[] = {
    {"rtx40", 8, 9, 99 * 1024, 128, 1536},
    {"a100", 8, 0, 163 * 1024, 108, 2048},
    {"h100", 9, 0, 227 * 1024, 132, 2048},
};

std::map<const void*, std::size_t>& allowed() {
  static std::map<const void*, std::size_t> bytes;
  return bytes;
}

// Whether memory of the host lies there: what a kernel must never be given.
bool host_memory(std::uintptr_t address) {
  if (address >> 32 == 0 || address >> 47 != 0)
    return false;  // a size, or no address of a program
  if (on_device(reinterpret_cast<const void*>(address)))
    return false;
  unsigned char resident;
  return mincore(reinterpret_cast<void*>(address & ~std::uintptr_t{4095}), 1, &resident) == 0;
}

void check_arguments(const Launch& launch) {
  const auto* const bytes = static_cast<const std::byte*>(launch.arguments.get());
  for (std::size_t at = 0; at + 8 <= launch.argument_bytes; at += 8) {
    std::uintptr_t word;
    std::memcpy(&word, bytes + at, 8);
    if (host_memory(word))
      refuse(cudaErrorInvalidValue, "{}: a host pointer among the arguments: {:#x} at byte {}",
             launch.name, word, at);
  }
}

}  // namespace

const Profile& profile() {
  for (const Profile& each : profiles)
    if (emulation().profile == each.name)
      return each;
  refuse(cudaErrorInvalidValue,
         "the emulated device: unknown profile: {}. Known are rtx40, a100, h100.",
         emulation().profile);
}

void allow_shared_memory(const void* kernel, std::size_t bytes) {
  if (bytes > profile().shared_memory)
    refuse(cudaErrorInvalidValue, "shared memory: {} bytes asked for, {} has {} for a block", bytes,
           profile().name, profile().shared_memory);
  allowed()[kernel] = bytes;
}

void check(const Launch& launch) {
  const auto& [x, y, z] = launch.blocks;
  if (x == 0 || y == 0 || z == 0 || x > 0x7fffffffu || y > 65535 || z > 65535)
    refuse(cudaErrorInvalidConfiguration,
           "{}: a grid of {} x {} x {} blocks: x must be in 1..2147483647, y and z in 1..65535",
           launch.name, x, y, z);
  if (launch.threads < 1 || launch.threads > 1024)
    refuse(cudaErrorInvalidConfiguration, "{}: {} threads a block: there must be 1..1024",
           launch.name, launch.threads);
  const auto found = allowed().find(launch.kernel);
  const std::size_t most = found == allowed().end()
                               ? shared_memory_unasked
                               : std::max(shared_memory_unasked, found->second);
  if (launch.shared_memory > std::min(most, profile().shared_memory))
    refuse(
        cudaErrorInvalidValue,
        "{}: {} bytes of shared memory: the kernel may have {} (cudaFuncSetAttribute), {} has {}",
        launch.name, launch.shared_memory, most, profile().name, profile().shared_memory);
  if (!sanitized)
    check_arguments(launch);
}

}  // namespace likely::kernels::emulate
