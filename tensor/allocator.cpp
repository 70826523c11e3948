// Blocks kept by size, and what is counted about them.
#include "tensor/allocator.h"

#include <algorithm>
#include <bit>
#include <memory>

namespace likely {
namespace {

constexpr std::size_t address_space = std::size_t{1} << 47;  // what a process can have on x86-64

}  // namespace

// Multiples of 64 bytes up to 512; above, eight sizes between two powers of two: at most 12.5 %
// more than was asked for.
std::size_t Allocator::rounded(std::size_t bytes) {
  const std::size_t step = bytes <= 512 ? 64 : std::bit_floor(bytes - 1) / 8;
  return std::max<std::size_t>((bytes + step - 1) / step * step, 64);
}

void* Allocator::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  require_memory(bytes <= address_space, bytes);
  const std::size_t size = rounded(bytes);
  void* block = nullptr;
  if (auto& blocks = (pool_ ? pool_->kept_ : kept_)[size]; !blocks.empty()) {
    block = blocks.back();
    blocks.pop_back();
    ++counters_.reused;
  } else {
    require(
        fresh_allowed_,
        "allocate: {} bytes more than the last time, of work that is recorded at its addresses.",
        bytes);
    block = allocate_fresh(size);
    require_memory(block != nullptr, bytes);
    counters_.held += size;
    counters_.peak_held = std::max(counters_.peak_held, counters_.held);
    ++counters_.fresh;
    if (pool_)
      owners_[block] = pool_;
  }
  if (pool_)
    ++pool_->outside_;
  counters_.in_use += size;
  counters_.peak_in_use = std::max(counters_.peak_in_use, counters_.in_use);
  if (const auto opened = memory_of(device_).opened)
    opened(device_.index, block, size, bytes);
  return block;
}

void* Allocator::allocate_fresh(std::size_t size) {
  const Memory& memory = memory_of(device_);
  void* block = memory.allocate(device_.index, size);
  if (!block && counters_.held > counters_.in_use) {
    trim_locked();
    block = memory.allocate(device_.index, size);
  }
  return block;
}

void Allocator::require_memory(bool there, std::size_t bytes) const {
  require<OutOfMemory>(
      there,
      "allocate: {} has no {} bytes left: {} bytes are in use. Use a smaller batch or model.",
      device_, bytes, counters_.in_use);
}

void Allocator::release(void* block, std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  const std::lock_guard lock(mutex_);
  if (const auto closed = memory_of(device_).closed)
    closed(device_.index, block, size);
  Pool* const owner = owner_of(block);
  (owner ? owner->kept_ : kept_)[size].push_back(block);
  if (owner)
    --owner->outside_;
  counters_.in_use -= size;
}

Allocator::Pool* Allocator::owner_of(void* block) const {
  const auto found = owners_.empty() ? owners_.end() : owners_.find(block);
  return found == owners_.end() ? nullptr : found->second;
}

Allocator::Pool::Scope::Scope(Pool& pool, Fresh fresh) : allocator(pool.allocator_) {
  const std::lock_guard lock(allocator.mutex_);
  require(!allocator.pool_, "allocate: a pool within a pool.");
  allocator.pool_ = &pool;
  allocator.fresh_allowed_ = fresh == Fresh::any;
}

Allocator::Pool::Scope::~Scope() {
  const std::lock_guard lock(allocator.mutex_);
  allocator.pool_ = nullptr;
  allocator.fresh_allowed_ = true;
}

Allocator::Pool::~Pool() {
  const std::lock_guard lock(allocator_.mutex_);
  for (const auto& [size, blocks] : kept_)
    allocator_.kept_[size].insert(allocator_.kept_[size].end(), blocks.begin(), blocks.end());
  std::erase_if(allocator_.owners_, [&](const auto& entry) { return entry.second == this; });
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
