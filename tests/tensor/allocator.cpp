#include "tensor/allocator.h"

#include <doctest/doctest.h>

#include <thread>

#include "tensor/tensor.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

using namespace likely;

namespace {

void check_equal(const Allocator::Counters& a, const Allocator::Counters& b) {
  CHECK(a.in_use == b.in_use);
  CHECK(a.peak_in_use == b.peak_in_use);
  CHECK(a.held == b.held);
  CHECK(a.peak_held == b.peak_held);
  CHECK(a.fresh == b.fresh);
  CHECK(a.reused == b.reused);
}

// A device with 10,000 bytes, which stands in for one that this program has not.
class SmallDevice {
 public:
  SmallDevice() {
    left_ = 10'000;
    register_memory(Device::cuda, {[](int, std::size_t bytes) -> void* {
                                     if (bytes > left_)
                                       return nullptr;
                                     left_ -= bytes;
                                     return ::operator new(bytes);
                                   },
                                   [](int, void* block, std::size_t bytes) {
                                     left_ += bytes;
                                     ::operator delete(block);
                                   },
                                   [](int, void*, const void*, std::size_t) {}});
  }
  ~SmallDevice() { register_memory(Device::cuda, {}); }
  static std::size_t left() { return left_; }

 private:
  inline static std::size_t left_ = 0;
};

}  // namespace

TEST_CASE("allocator: blocks are at most an eighth larger than asked for, in few sizes") {
  CHECK(Allocator::rounded(0) == 64);
  CHECK(Allocator::rounded(1) == 64);
  CHECK(Allocator::rounded(65) == 128);
  CHECK(Allocator::rounded(512) == 512);
  CHECK(Allocator::rounded(513) == 576);
  CHECK(Allocator::rounded(1024) == 1024);
  CHECK(Allocator::rounded(1025) == 1152);
  std::size_t before = 0, sizes = 0, wrong = 0;
  for (std::size_t bytes = 1; bytes <= 1 << 20; ++bytes) {
    const std::size_t size = Allocator::rounded(bytes);
    wrong += size < bytes || size < before || size % 64 != 0 || Allocator::rounded(size) != size;
    wrong += bytes > 512 && (size - bytes) * 8 >= bytes;
    sizes += size != before;
    before = size;
  }
  CHECK(wrong == 0);
  CHECK(sizes == 8 + 11 * 8);  // 64 … 512, then eight between each two of the powers to 2^20
}

TEST_CASE("allocator: counts what is in use, what it holds, and their peaks") {
  Allocator allocator(Device::cpu);
  void* a = allocator.allocate(1000);  // 1024
  void* b = allocator.allocate(100);   // 128
  CHECK(reinterpret_cast<std::uintptr_t>(a) % 64 == 0);
  check_equal(allocator.counters(), {1152, 1152, 1152, 1152, 2, 0});
  allocator.release(a, 1000);
  check_equal(allocator.counters(), {128, 1152, 1152, 1152, 2, 0});

  // Any request of the same rounded size gets the block back.
  CHECK(allocator.allocate(1024) == a);
  check_equal(allocator.counters(), {1152, 1152, 1152, 1152, 2, 1});
  void* c = allocator.allocate(2000);  // 2048
  check_equal(allocator.counters(), {3200, 3200, 3200, 3200, 3, 1});

  allocator.release(a, 1024);
  allocator.release(c, 2000);
  allocator.reset_peaks();
  check_equal(allocator.counters(), {128, 128, 3200, 3200, 3, 1});
  allocator.trim();
  check_equal(allocator.counters(), {128, 128, 128, 3200, 3, 1});
  allocator.release(b, 100);
  check_equal(allocator.counters(), {0, 128, 128, 3200, 3, 1});
}

TEST_CASE("allocator: the block freed last is reused first") {
  Allocator allocator(Device::cpu);
  void* a = allocator.allocate(64);
  void* b = allocator.allocate(64);
  allocator.release(a, 64);
  allocator.release(b, 64);
  CHECK(allocator.allocate(64) == b);
  CHECK(allocator.allocate(64) == a);
  allocator.release(a, 64);
  allocator.release(b, 64);
}

TEST_CASE("allocator: a pool's blocks are for its scopes alone, and join the others when it goes") {
  Allocator allocator(Device::cpu);
  void* general = allocator.allocate(64);
  allocator.release(general, 64);
  void* pooled = nullptr;
  {
    Allocator::Pool pool(allocator);
    {
      const Allocator::Pool::Scope scope(pool, Allocator::Pool::Fresh::any);
      pooled = allocator.allocate(64);
      CHECK(pooled != general);
      CHECK(pool.outside() == 1);
      allocator.release(pooled, 64);
      CHECK(pool.outside() == 0);
    }
    CHECK(allocator.allocate(64) == general);
    const Allocator::Pool::Scope scope(pool, Allocator::Pool::Fresh::none);
    CHECK(allocator.allocate(64) == pooled);
    CHECK_THROWS_WITH_AS(
        allocator.allocate(60),
        "allocate: 60 bytes more than the last time, of work that is recorded at its addresses.",
        Error);
    allocator.release(general, 64);  // back to where it came from
    CHECK_THROWS_AS(allocator.allocate(64), Error);
    allocator.release(pooled, 64);
    CHECK(allocator.allocate(64) == pooled);
  }
  allocator.release(pooled, 64);  // after its pool has gone
  CHECK(allocator.allocate(64) == pooled);
  CHECK(allocator.allocate(64) == general);
  check_equal(allocator.counters(), {128, 128, 128, 128, 2, 5});
  allocator.release(pooled, 64);
  allocator.release(general, 64);
}

TEST_CASE("allocator: large blocks lie on huge pages") {
  Allocator allocator(Device::cpu);
  const std::size_t bytes = std::size_t{4} << 20;
  void* block = allocator.allocate(bytes);
  CHECK(reinterpret_cast<std::uintptr_t>(block) % (2 << 20) == 0);
  allocator.release(block, bytes);
}

TEST_CASE("allocator: meta counts exactly what the CPU would") {
  Allocator cpu(Device::cpu), meta(Device::meta);
  for (Allocator* allocator : {&cpu, &meta}) {
    std::vector<std::pair<void*, std::size_t>> blocks;
    std::uint32_t state = 1;
    for (int i = 0; i < 2000; ++i) {
      state = state * 1664525u + 1013904223u;
      const std::size_t chosen = state >> 8;
      if (chosen % 5 < 2 && !blocks.empty()) {
        const std::size_t at = chosen % blocks.size();
        allocator->release(blocks[at].first, blocks[at].second);
        blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
      } else {
        const std::size_t bytes = chosen % (std::size_t{1} << (chosen % 17));
        blocks.emplace_back(allocator->allocate(bytes), bytes);
        CHECK(blocks.back().first != nullptr);
      }
    }
    for (const auto& [block, bytes] : blocks)
      allocator->release(block, bytes);
  }
  check_equal(cpu.counters(), meta.counters());
  CHECK(cpu.counters().reused > 100);
  CHECK(cpu.counters().in_use == 0);
}

TEST_CASE("allocator: kept blocks go back before memory is said to be out") {
  const SmallDevice device;
  Allocator allocator({Device::cuda, 7});
  void* a = allocator.allocate(4096);
  void* b = allocator.allocate(4096);
  allocator.release(a, 4096);
  CHECK(SmallDevice::left() == 10'000 - 2 * 4096);

  // Fits only where the kept block was.
  void* c = allocator.allocate(5000);  // 5120
  CHECK(SmallDevice::left() == 10'000 - 4096 - 5120);
  check_equal(allocator.counters(), {9216, 9216, 9216, 9216, 3, 0});

  CHECK_THROWS_WITH_AS(
      allocator.allocate(5000),
      "allocate: cuda:7 has no 5000 bytes left: 9216 bytes are in use. Use a smaller batch or "
      "model.",
      OutOfMemory);
  check_equal(allocator.counters(), {9216, 9216, 9216, 9216, 3, 0});
  allocator.release(c, 5000);
  allocator.release(b, 4096);
}

TEST_CASE("allocator: an absurd request is out of memory, not a crash") {
  const std::int64_t absurd = std::int64_t{1} << 50;
  Allocator allocator(Device::cpu);
  for (const std::size_t bytes : {std::size_t(absurd), SIZE_MAX, SIZE_MAX - 63})
    CHECK_THROWS_WITH_AS(allocator.allocate(bytes),
                         fmt::format("allocate: cpu has no {} bytes left: 0 bytes are in use. Use "
                                     "a smaller batch or model.",
                                     bytes)
                             .c_str(),
                         OutOfMemory);
  CHECK_THROWS_AS(Tensor::empty({absurd}), OutOfMemory);
  CHECK_THROWS_AS(Tensor::empty({absurd}, DType::f32, Device::meta), OutOfMemory);
  CHECK_THROWS_WITH_AS(Tensor::empty({std::int64_t{1} << 62}),
                       "tensor: [4611686018427387904] f32 elements do not fit any memory.",
                       OutOfMemory);
}

#ifdef __SANITIZE_ADDRESS__
TEST_CASE("allocator: the end of a block and released blocks are out of bounds") {
  Allocator allocator(Device::cpu);
  for (int round = 0; round < 2; ++round) {
    auto* const block = static_cast<char*>(allocator.allocate(100));
    CHECK(!__asan_address_is_poisoned(block));
    CHECK(!__asan_address_is_poisoned(block + 99));
    CHECK(__asan_address_is_poisoned(block + 100));
    CHECK(__asan_address_is_poisoned(block + 127));
    allocator.release(block, 100);
    CHECK(__asan_address_is_poisoned(block));
  }
}
#endif

TEST_CASE("allocator: threads may share it") {
  Allocator allocator(Device::cpu);
  const auto work = [&] {
    for (std::size_t i = 0; i < 500; ++i) {
      const std::size_t bytes = 64 + i % 7 * 100;
      void* block = allocator.allocate(bytes);
      *static_cast<std::size_t*>(block) = i;
      allocator.release(block, bytes);
    }
  };
  std::thread other(work);
  work();
  other.join();
  CHECK(allocator.counters().in_use == 0);
  CHECK(allocator.counters().fresh + allocator.counters().reused == 1000);
}
