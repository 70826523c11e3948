// First fit among what was given back, then fresh memory.
#include "kernels/emulate/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <iterator>
#include <new>

#include "kernels/emulate/sanitizers.h"

namespace likely::kernels::emulate {
namespace {

constexpr std::size_t alignment = 256;                   // cudaMalloc's
constexpr std::size_t huge_page = std::size_t{2} << 20;  // a thousandth of the cost to protect
constexpr std::size_t gap = 256;                         // between blocks; nobody's

constexpr std::size_t up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

// As much as the machine has.
Arena::Arena()
    : size_(up(static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                   static_cast<std::size_t>(sysconf(_SC_PAGESIZE)),
               huge_page)) {
  void* const memory = mmap(nullptr, size_ + huge_page, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw std::bad_alloc();
  begin_ = reinterpret_cast<std::byte*>(up(reinterpret_cast<std::uintptr_t>(memory), huge_page));
  madvise(begin_, size_, MADV_HUGEPAGE);
}

void* Arena::allocate(std::size_t bytes) {
  const std::size_t needed = up(bytes, alignment) + gap;
  auto hole = holes_.begin();
  while (hole != holes_.end() && hole->second < needed)
    ++hole;
  std::size_t begin = used_;
  if (hole != holes_.end()) {
    begin = hole->first;
    const std::size_t left = hole->second - needed;
    holes_.erase(hole);
    if (left > 0)
      holes_.emplace(begin + needed, left);
  } else {
    if (needed > size_ - used_)
      return nullptr;
    used_ += needed;
    forbid(begin_ + begin, needed);
  }
  blocks_.emplace(begin, Block{needed, bytes});
  in_use_ += needed;
  permit(begin_ + begin, bytes);
  return begin_ + begin;
}

bool Arena::release(void* block) {
  const auto found =
      contains(block)
          ? blocks_.find(static_cast<std::size_t>(static_cast<std::byte*>(block) - begin_))
          : blocks_.end();
  if (found == blocks_.end())
    return false;
  std::size_t begin = found->first, size = found->second.size;
  blocks_.erase(found);
  in_use_ -= size;
  forbid(begin_ + begin, size);
  const std::size_t first = up(begin, huge_page), last = (begin + size) / huge_page * huge_page;
  if (last > first)  // whole pages go back to the system
    madvise(begin_ + first, last - first, MADV_DONTNEED);
  const auto next = holes_.lower_bound(begin);
  if (next != holes_.begin())
    if (const auto before = std::prev(next); before->first + before->second == begin) {
      begin = before->first;
      size += before->second;
      holes_.erase(before);
    }
  if (next != holes_.end() && begin + size == next->first) {
    size += next->second;
    holes_.erase(next);
  }
  holes_.emplace(begin, size);
  return true;
}

bool Arena::contains(const void* address) const {
  return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(begin_) <
         size_;
}

bool Arena::holds(const void* address, std::size_t bytes) const {
  if (!contains(address))
    return false;
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) - begin_);
  const auto next = blocks_.upper_bound(offset);
  if (next == blocks_.begin())
    return false;
  const auto [begin, block] = *std::prev(next);
  return offset + bytes <= begin + block.bytes;
}

void Arena::protect(bool open) {
  mprotect(begin_, up(used_, huge_page), open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

Arena& arena() {
  static Arena& only = *new Arena;  // outlives whoever frees memory last
  return only;
}

bool on_device(const void* address) { return arena().contains(address); }

}  // namespace likely::kernels::emulate
