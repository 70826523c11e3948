// The device's memory: one reserved range of addresses, which the host cannot touch unless a
// launch or a copy runs.
#pragma once
#include <cstddef>
#include <map>

namespace likely::kernels::emulate {

class Arena {
 public:
  Arena();
  Arena(const Arena&) = delete;

  void* allocate(std::size_t bytes);  // null where there is no room
  bool release(void* block);          // false where there is no such block
  bool contains(const void* address) const;
  bool holds(const void* address, std::size_t bytes) const;  // all of it in one block
  std::size_t size() const { return size_; }
  std::size_t available() const { return size_ - in_use_; }

  // While one is alive, the memory can be touched.
  struct Open {
    explicit Open(Arena& arena) : arena(arena) {
      if (arena.open_++ == 0)
        arena.protect(true);
    }
    ~Open() {
      if (--arena.open_ == 0)
        arena.protect(false);
    }
    Arena& arena;
  };

 private:
  struct Block {
    std::size_t size, bytes;  // what it takes, and what was asked for
  };
  void protect(bool open);

  std::byte* begin_ = nullptr;
  std::size_t size_ = 0, used_ = 0, in_use_ = 0;  // `used_` bytes have ever been handed out
  std::map<std::size_t, Block> blocks_;           // by their beginning
  std::map<std::size_t, std::size_t> holes_;      // begin → size
  int open_ = 0;
};

Arena& arena();
bool on_device(const void* address);

}  // namespace likely::kernels::emulate
