#include "tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>

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
        [](int, void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }};
    kinds[Device::meta] = {allocate_nothing, [](int, void*, std::size_t) {},
                           [](int, void*, const void*, std::size_t) {}};
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

// Multiples of 64 bytes up to 512; above, eight sizes between two powers of two (at most 12.5 %
// slack).
std::size_t Allocator::rounded(std::size_t bytes) {
  const std::size_t step = bytes <= 512 ? 64 : std::bit_floor(bytes - 1) / 8;
  return std::max<std::size_t>((bytes + step - 1) / step * step, 64);
}

void* Allocator::allocate(std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  const std::lock_guard lock(mutex_);
  void* block = nullptr;
  if (auto& blocks = kept_[size]; !blocks.empty()) {
    block = blocks.back();
    blocks.pop_back();
    ++counters_.reused;
  } else {
    const Memory& memory = memory_of(device_);
    block = memory.allocate(device_.index, size);
    if (!block) {
      trim_locked();
      block = memory.allocate(device_.index, size);
    }
    require<OutOfMemory>(
        block,
        "allocate: {} has no {} bytes left: {} bytes are in use. Use a smaller batch or model.",
        device_, size, counters_.in_use);
    counters_.held += size;
    counters_.peak_held = std::max(counters_.peak_held, counters_.held);
    ++counters_.fresh;
  }
  counters_.in_use += size;
  counters_.peak_in_use = std::max(counters_.peak_in_use, counters_.in_use);
#ifdef LIKELY_FILL_FRESH_MEMORY  // every floating-point type reads 0xff… as NaN: use before writing
                                 // shows
  if (device_.kind == Device::cpu)
    std::memset(block, 0xff, size);
#endif
  return block;
}

void Allocator::release(void* block, std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  const std::lock_guard lock(mutex_);
  kept_[size].push_back(block);
  counters_.in_use -= size;
}

void Allocator::trim() {
  const std::lock_guard lock(mutex_);
  trim_locked();
}

void Allocator::trim_locked() {
  for (auto& [size, blocks] : kept_) {
    for (void* block : blocks)
      memory_of(device_).release(device_.index, block, size);
    counters_.held -= size * blocks.size();
    blocks.clear();
  }
}

Allocator::Counters Allocator::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

void Allocator::reset_peaks() {
  const std::lock_guard lock(mutex_);
  counters_.peak_in_use = counters_.in_use;
  counters_.peak_held = counters_.held;
}

Allocator& allocator_of(Device device) {
  // Never destroyed: tensors in static storage may outlive any order of destruction.
  static std::mutex mutex;
  static auto& allocators = *new std::map<std::pair<int, int>, std::unique_ptr<Allocator>>;
  const std::lock_guard lock(mutex);
  auto& allocator = allocators[{device.kind, device.index}];
  if (!allocator)
    allocator = std::make_unique<Allocator>(device);
  return *allocator;
}

}  // namespace likely
