// Memory of the block and of the device, and accesses where none may be.
#include <cmath>
#include <numeric>

#include "tests/emulate/harness.h"

namespace likely::kernels {
namespace {

struct Slots {
  float value[64];
};

__global__ void writes_shared(float* out, int n) {
  Slots& block = cuda::shared<Slots>();
  float* const value = block.value;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x))
    value[i] = 1;
  __syncthreads();
  out[threadIdx.x] = value[threadIdx.x];
}

__global__ void adds_one(float* x, int n) {
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x))
    x[i] += 1;
}

// Its blocks write half of what they read.
__global__ void reads_unwritten(float* out, int written) {
  Slots& block = cuda::shared<Slots>();
  if (static_cast<int>(threadIdx.x) < written)
    block.value[threadIdx.x] = 1;
  __syncthreads();
  out[blockIdx.x * 64 + threadIdx.x] = block.value[63 - threadIdx.x];
}

__global__ void packs(const float* in, float* out) {
  auto pack = cuda::load16(in + 4 * threadIdx.x);
  for (float& value : pack.value)
    value += 1;
  cuda::store16(out + 4 * threadIdx.x, pack);
}

// Every thread of the grid writes one place.
__global__ void last_wins(float* out) {
  out[0] = static_cast<float>(blockIdx.x * blockDim.x + threadIdx.x);
}
__global__ void everyone_wins(float* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = static_cast<float>(i);
}

struct Pair {
  const float* from;
  int n;
};
__global__ void reads_pair(Pair pair, float* out) {
  out[threadIdx.x] = pair.from[threadIdx.x % pair.n];
}

void shared_writes(int n) {
  const Values<float> out(64);
  cuda::launch(tried(), writes_shared, {1u, 64, sizeof(Slots)}, out.begin(), n);
  wait();
}

}  // namespace

TEST_CASE("child: shared memory" * doctest::skip()) { shared_writes(65); }
TEST_CASE("child: global memory" * doctest::skip()) {
  const Values<float> x(100);
  cuda::launch(tried(), adds_one, {1u, 64}, x.begin(), 101);
  wait();
}
TEST_CASE("child: host" * doctest::skip()) {
  const Values<float> x(100);
  wait();
  x.begin()[0] = 1;
}
TEST_CASE("race: threads" * doctest::skip()) {
  const Values<float> out(1);
  cuda::launch(tried(), last_wins, {1u, 64}, out.begin());
  wait();
}

TEST_CASE("memory: a write beyond the block's shared memory is noticed") {
  shared_writes(64);
  if (sanitizer == Sanitizer::address) {
    const Child result = child("child: shared memory");
    INFO(result.output);
    CHECK(result.says("AddressSanitizer: use-after-poison"));
    CHECK(result.says("writes_shared"));
  } else if (sanitizer == Sanitizer::none) {
    for (const std::string& fault : in_all_orders([] {
           const Values<float> out(64);
           return fault_of([&] {
             cuda::launch(tried(), writes_shared, {1u, 64, sizeof(Slots)}, out.begin(), 65);
           });
         }))
      CHECK(fault.find("wrote beyond the block's shared memory") != std::string::npos);
  }
}

TEST_CASE("memory: a kernel that wants more shared memory than its launch has is told so") {
  const Values<float> out(64);
  const std::string fault = fault_of([&] {
    cuda::launch(tried(), writes_shared, {1u, 64, 252}, out.begin(), 64);
  });
  CHECK(fault.find("test/kernel/f32: block 0,0,0 thread 0: shared memory: the kernel wants 256 "
                   "bytes, the launch has 252 (") == 0);
}

TEST_CASE("memory: an access beyond a block of the device is noticed under AddressSanitizer") {
  CHECK(always([] {
    const Values<float> x(100);
    cuda::launch(tried(), adds_one, {1u, 64}, x.begin(), 100);
    return x.read() == std::vector<float>(100, 1);
  }));
  if (sanitizer != Sanitizer::address)
    return;
  const Child result = child("child: global memory");
  INFO(result.output);
  CHECK(result.says("AddressSanitizer: use-after-poison"));
  CHECK(result.says("adds_one"));
}

TEST_CASE("memory: the host cannot touch the device's") {
  const Child result = child("child: host");
  INFO(result.output);
  CHECK(result.status != 0);
  CHECK(result.says("SEGV"));
}

TEST_CASE("memory: what was not written reads as NaN, in every block") {
  for (const std::vector<float>& values : in_all_orders([] {
         const Values<float> out(3 * 64);
         cuda::launch(tried(), reads_unwritten, {3u, 64, sizeof(Slots)}, out.begin(), 32);
         return out.read();
       }))
    for (std::size_t i = 0; i < values.size(); ++i)
      CHECK(std::isnan(values[i]) == (i % 64 < 32));
  CHECK(always([] {
    const Values<float> out(3 * 64);
    cuda::launch(tried(), reads_unwritten, {3u, 64, sizeof(Slots)}, out.begin(), 64);
    return out.read() == std::vector<float>(3 * 64, 1);
  }));
}

TEST_CASE("memory: sixteen bytes at once want an address that is a multiple of sixteen") {
  const Values<float> in(130), out(130);
  CHECK(fault_of([&] { cuda::launch(tried(), packs, {1u, 32}, in.begin(), out.begin()); }) == "");
  for (const auto& [from, to] : {std::pair{1, 0}, std::pair{0, 1}}) {
    const std::string fault = fault_of([&, from = from, to = to] {
      cuda::launch(tried(), packs, {1u, 32}, in.begin() + from, out.begin() + to);
    });
    INFO(fault);
    CHECK(fault.find("thread 0: 16 bytes at once: the address 0x") != std::string::npos);
    CHECK(fault.find("is not a multiple of 16 (") != std::string::npos);
    CHECK(fault.find("memory.cpp:") != std::string::npos);
  }
}

TEST_CASE("memory: a result that depends on the order of blocks or threads is seen to") {
  const auto lasts = in_all_orders([] {
    const Values<float> out(1);
    cuda::launch(tried(), last_wins, {8u, 1}, out.begin());
    return out.read()[0];
  });
  CHECK(lasts[0] == 7);
  CHECK(lasts[1] == 0);
  if (sanitizer == Sanitizer::thread) {
    CHECK(races("race: threads", "last_wins"));
  } else {
    const auto threads = in_all_orders([] {
      const Values<float> out(1);
      cuda::launch(tried(), last_wins, {1u, 64}, out.begin());
      return out.read()[0];
    });
    CHECK(threads[0] == 63);
    CHECK(threads[1] == 0);
    CHECK(threads[2] != threads[3]);
  }
  std::vector<float> each(8 * 64);
  std::iota(each.begin(), each.end(), 0.0f);
  CHECK(always([&] {
    const Values<float> out(8 * 64);
    cuda::launch(tried(), everyone_wins, {8u, 64}, out.begin());
    return out.read() == each;
  }));
}

TEST_CASE("memory: a host pointer among the arguments is refused, also within a struct") {
  const Values<float> in(std::vector<float>(64, 2)), out(64);
  cuda::launch(tried(), reads_pair, {1u, 64}, Pair{in.begin(), 64}, out.begin());
  CHECK(out.read() == std::vector<float>(64, 2));
  if (sanitizer != Sanitizer::none)
    return;  // their own mappings are everywhere
  std::vector<float> host(64);
  CHECK_THROWS_WITH_AS(
      cuda::launch(tried(), reads_pair, {1u, 64}, Pair{host.data(), 64}, out.begin()),
      doctest::Contains("a host pointer among the arguments"), Error);
  CHECK_THROWS_AS(cuda::launch(tried(), adds_one, {1u, 64}, host.data(), 64), Error);
}

TEST_CASE("memory: blocks are given back, joined and given out again") {
  std::size_t before = 0, after = 0, total = 0;
  cudaMemGetInfo(&before, &total);
  void *a = nullptr, *b = nullptr, *c = nullptr, *d = nullptr;
  for (void** block : {&a, &b, &c})
    CHECK(cudaMalloc(block, 1000) == cudaSuccess);
  CHECK(cudaFree(a) == cudaSuccess);
  CHECK(cudaFree(b) == cudaSuccess);
  CHECK(cudaMalloc(&d, 2000) == cudaSuccess);
  CHECK(d == a);
  CHECK(cudaFree(c) == cudaSuccess);
  CHECK(cudaFree(d) == cudaSuccess);
  CHECK(cudaFree(d) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaSuccess);
  cudaMemGetInfo(&after, &total);
  CHECK(before == after);
  CHECK(cudaMalloc(&a, total + 1) == cudaErrorMemoryAllocation);
  cudaGetLastError();
}

TEST_CASE("memory: what the allocator hands out is NaN, in the order of the stream") {
  const Values<float> block(std::vector<float>(64, 3)), copy(64);
  cuda::launch(tried(), reads_pair, {1u, 64}, Pair{block.begin(), 64}, copy.begin());
  emulate::closed(cuda::stream(), block.begin(), 256);
  emulate::opened(cuda::stream(), block.begin(), 256, 128);
  CHECK(copy.read() == std::vector<float>(64, 3));
  emulate::opened(cuda::stream(), block.begin(), 256, 256);
  for (const float value : block.read())
    CHECK(std::isnan(value));
}

}  // namespace likely::kernels
