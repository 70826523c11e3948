// A table of raw operations in front of the device's own.
#include "kernels/guards.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "tensor/allocator.h"

namespace likely::kernels {
namespace {

constexpr std::size_t band = 4096;  // bytes before and behind a block
constexpr std::byte guard{0xa5};    // of a band
constexpr std::byte poison{0xff};   // NaN in every floating-point type

struct Block {
  int index;                // of the device
  std::size_t size, bytes;  // as it was allocated, and what was asked for
  bool handed_out;
};

Memory inner{};
std::mutex blocks_mutex;  // of what follows
std::map<std::byte*, Block>& blocks = *new std::map<std::byte*, Block>;
std::string broken;

void* allocate(int index, std::size_t size) {
  void* const raw = inner.allocate(index, size + 2 * band);
  if (!raw)
    return nullptr;
  const std::lock_guard lock(blocks_mutex);
  auto* const block = static_cast<std::byte*>(raw) + band;
  blocks[block] = {index, size, 0, false};
  return block;
}

void release(int index, void* address, std::size_t size) {
  const std::lock_guard lock(blocks_mutex);
  auto* const block = static_cast<std::byte*>(address);
  if (blocks.erase(block))
    inner.release(index, block - band, size + 2 * band);
  else  // from before there were guards
    inner.release(index, block, size);
}

void opened(int index, void* address, std::size_t size, std::size_t bytes) {
  if (inner.opened)
    inner.opened(index, address, size, size);
  const std::lock_guard lock(blocks_mutex);
  auto* const block = static_cast<std::byte*>(address);
  const auto found = blocks.find(block);
  if (found == blocks.end())
    return;
  found->second.bytes = bytes;
  found->second.handed_out = true;
  std::vector<std::byte> image(size + 2 * band, guard);
  std::fill_n(image.begin() + band, bytes, poison);
  inner.copy(index, block - band, image.data(), image.size());
}

// The bytes from `begin` on must be as they were.
void check(const std::byte* block, const Block& of, std::ptrdiff_t begin, std::size_t count) {
  std::vector<std::byte> here(count);
  inner.copy(of.index, here.data(), block + begin, count);
  const auto wrong = std::find_if(here.begin(), here.end(), [](std::byte b) { return b != guard; });
  if (wrong == here.end() || !broken.empty())
    return;
  const std::ptrdiff_t at = begin + (wrong - here.begin());
  broken = fmt::format("it wrote outside: byte {} of a block of {} bytes is {:#04x}", at, of.bytes,
                       std::to_integer<unsigned>(*wrong));
}

void check(const std::byte* block, const Block& of) {
  if (!of.handed_out)
    return;
  try {
    check(block, of, -static_cast<std::ptrdiff_t>(band), band);
    check(block, of, static_cast<std::ptrdiff_t>(of.bytes), of.size - of.bytes + band);
  } catch (const std::exception& error) {  // of a device that an earlier kernel has broken
    broken = broken.empty() ? error.what() : broken;
  }
}

void closed(int index, void* address, std::size_t size) {
  {
    const std::lock_guard lock(blocks_mutex);
    if (const auto found = blocks.find(static_cast<std::byte*>(address)); found != blocks.end()) {
      check(found->first, found->second);
      found->second.handed_out = false;
    }
  }
  if (inner.closed)
    inner.closed(index, address, size);
}

}  // namespace

void guard_memory(Device device) {
  if (memory_of(device).allocate == allocate)
    return;
  allocator_of(device).trim();  // its blocks have no bands
  require(!inner.allocate, "guards: only one kind of device can have them.");
  inner = memory_of(device);
  register_memory(device.kind, {allocate, release, inner.copy, opened, closed});
}

std::string broken_guards() {
  const std::lock_guard lock(blocks_mutex);
  for (const auto& [block, of] : blocks)
    check(block, of);
  return std::exchange(broken, {});
}

}  // namespace likely::kernels
