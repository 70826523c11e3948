// Allocator: keeps freed blocks by size: a fresh 100 MB costs 71 ms of page faults, a kept one 4.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tensor/device.h"

namespace likely {

// One for each device. Blocks are 64-byte aligned (2 MiB from 4 MiB on), reused by exact rounded
// size, latest first.
class Allocator {
 public:
  struct Counters {
    std::size_t in_use = 0, peak_in_use = 0;  // bytes handed out, rounded to block sizes
    std::size_t held = 0, peak_held = 0;  // bytes taken from the system: in use and kept for reuse
    std::uint64_t fresh = 0, reused = 0;  // how many allocations came from where
  };

  explicit Allocator(Device device) : device_(device) {}
  Allocator(const Allocator&) = delete;
  ~Allocator() { trim(); }

  void* allocate(std::size_t bytes);  // OutOfMemory, after kept blocks went back to the system
  void release(void* block, std::size_t bytes);  // the `bytes` given to allocate
  void trim();                                   // returns kept blocks to the system
  Counters counters() const;
  void reset_peaks();

  static std::size_t rounded(std::size_t bytes);  // the block size for a request

  // Blocks apart, for work that is recorded and run again at the same addresses: nobody else is
  // handed one. They join the allocator's own when the pool goes, or when they come back after it.
  class Pool {
   public:
    explicit Pool(Allocator& allocator) : allocator_(allocator) {}
    Pool(const Pool&) = delete;
    ~Pool();
    std::uint64_t outside() const { return outside_; }  // blocks handed out and not back

    // While one is alive the allocator hands out blocks of the pool, and with Fresh::none only
    // those that it holds already.
    enum class Fresh { any, none };
    struct Scope {
      Scope(Pool& pool, Fresh fresh);
      Scope(const Scope&) = delete;
      ~Scope();
      Allocator& allocator;
    };

   private:
    friend class Allocator;
    Allocator& allocator_;
    std::map<std::size_t, std::vector<void*>> kept_;
    std::uint64_t outside_ = 0;
  };

 private:
  void* allocate_fresh(std::size_t size);  // null where there is nothing left
  void require_memory(bool there, std::size_t bytes) const;
  void trim_locked();
  Pool* owner_of(void* block) const;  // null: the allocator itself

  Device device_;
  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> kept_;
  Counters counters_;
  std::unordered_map<void*, Pool*> owners_;
  Pool* pool_ = nullptr;  // of the scope that is alive
  bool fresh_allowed_ = true;
};

Allocator& allocator_of(Device device);

}  // namespace likely
