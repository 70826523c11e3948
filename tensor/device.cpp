// The raw memory of the CPU and of meta; other kinds of device register theirs.
#include "tensor/device.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace likely {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

void* allocate_host(int, std::size_t bytes) {
  const bool large = bytes >= 2 * huge_page;
  void* block = nullptr;
  if (posix_memalign(&block, large ? huge_page : 64, bytes) != 0)
    return nullptr;
  if (large)
    madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

// With AddressSanitizer only the bytes asked for may be touched, and nothing after the release;
// with LIKELY_FILL_FRESH_MEMORY they are full of NaN, which 0xff… is in every floating-point type.
[[maybe_unused]] void host_opened(int, void* block, [[maybe_unused]] std::size_t size,
                                  std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(block, bytes);
  __asan_poison_memory_region(static_cast<std::byte*>(block) + bytes, size - bytes);
#endif
  std::memset(block, 0xff, bytes);
}
[[maybe_unused]] void host_closed(int, [[maybe_unused]] void* block,
                                  [[maybe_unused]] std::size_t size) {
#ifdef __SANITIZE_ADDRESS__
  __asan_poison_memory_region(block, size);
#endif
}

// Addresses that nothing may read: distinct, aligned, and never null.
void* allocate_nothing(int, std::size_t bytes) {
  static std::atomic<std::uintptr_t> next{std::uintptr_t{1} << 52};
  return reinterpret_cast<void*>(next.fetch_add((bytes + 63) & ~std::uintptr_t{63}));
}

struct MemoryTable {
  std::array<Memory, 3> kinds{};
  MemoryTable() {
    kinds[Device::cpu] = {
        allocate_host, [](int, void* block, std::size_t) { std::free(block); },
        [](int, void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); },
        nullptr, nullptr};
#ifdef LIKELY_FILL_FRESH_MEMORY
    kinds[Device::cpu].opened = host_opened;
    kinds[Device::cpu].closed = host_closed;
#endif
    kinds[Device::meta] = {allocate_nothing, [](int, void*, std::size_t) {},
                           [](int, void*, const void*, std::size_t) {}, nullptr, nullptr};
  }
};

MemoryTable& table() {
  static MemoryTable memory;
  return memory;
}

}  // namespace

std::string Device::name() const {
  switch (kind) {
    case cpu:
      return "cpu";
    case cuda:
      return fmt::format("cuda:{}", index);
    case meta:
      return "meta";
  }
  return "unknown device";
}

void register_memory(Device::Kind kind, const Memory& memory) { table().kinds[kind] = memory; }

const Memory& memory_of(Device device) {
  const Memory& memory = table().kinds[device.kind];
  require<UsageError>(memory.allocate,
                      "device: {} is not available in this program. `likely doctor` lists what is.",
                      device);
  return memory;
}

}  // namespace likely

fmt::appender fmt::formatter<likely::Device>::format(likely::Device device,
                                                     format_context& context) const {
  return write(device.name(), context);
}
