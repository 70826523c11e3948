// Threads that wait for each other, and kernels that get it wrong.
#include <algorithm>
#include <numeric>

#include "tests/emulate/harness.h"

namespace likely::kernels {
namespace {

constexpr int size = 128;

struct OneRow {
  float value[size];
};

template <bool right>
__global__ void reversed(const float* in, float* out) {
  OneRow& block = cuda::shared<OneRow>();
  block.value[threadIdx.x] = in[threadIdx.x];
  if constexpr (right)
    __syncthreads();
  out[threadIdx.x] = block.value[size - 1 - threadIdx.x];
}

// Two rounds through the same memory: the second must not begin before all have read the first.
template <bool right>
__global__ void reversed_twice(const float* in, float* out) {
  OneRow& block = cuda::shared<OneRow>();
  float value = in[threadIdx.x];
  for (int round = 0; round < 2; ++round) {
    block.value[threadIdx.x] = value;
    __syncthreads();
    value = block.value[size - 1 - threadIdx.x];
    if constexpr (right)
      __syncthreads();
  }
  out[threadIdx.x] = value;
}

template <bool right>
__global__ void reversed_in_warps(const float* in, float* out) {
  OneRow& block = cuda::shared<OneRow>();
  block.value[threadIdx.x] = in[threadIdx.x];
  if constexpr (right)
    __syncwarp();
  else
    __shfl_sync(cuda::all_lanes, 0, 0);  // meets the warp, and orders nothing
  out[threadIdx.x] = block.value[threadIdx.x ^ 31];
}

template <bool right>
__global__ void split(float* out) {
  if (right || threadIdx.x < 64)
    __syncthreads();
  else
    __syncthreads();
  out[threadIdx.x] = 1;
}

template <bool right>
__global__ void tangled(float* out) {
  if (threadIdx.x == 0 || right)
    __syncwarp(right ? cuda::all_lanes : 3);
  __syncthreads();
  if (threadIdx.x == 1 && !right)
    __syncwarp(3);
  out[threadIdx.x] = 1;
}

// The rest of the block has returned: a barrier waits for those that have not.
__global__ void few_stay(float* out) {
  if (threadIdx.x >= 40)
    return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

// Round after round, sums through shared memory, shuffles and votes together.
__global__ void rounds(float* out) {
  OneRow& block = cuda::shared<OneRow>();
  float value = static_cast<float>(threadIdx.x);
  for (int round = 0; round < 20; ++round) {
    block.value[threadIdx.x] = value;
    __syncthreads();
    value = block.value[(threadIdx.x + 1) % size];
    __syncthreads();
    value = __shfl_xor_sync(cuda::all_lanes, value, 1);
    if (__any_sync(cuda::all_lanes, threadIdx.x == 70))
      value += 1;
  }
  out[threadIdx.x] = value;
}

std::vector<float> counted() {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

// Whether `kernel` gives `expected` for 1, 2, … in one order of threads.
bool gives(void (*kernel)(const float*, float*), const std::vector<float>& expected) {
  const Values<float> in(counted()), out(size);
  cuda::launch(tried(), kernel, {1u, size, sizeof(OneRow)}, in.begin(), out.begin());
  return out.read() == expected;
}

std::vector<float> backwards(std::size_t piece) {
  std::vector<float> values = counted();
  for (std::size_t i = 0; i < size; i += piece)
    std::reverse(values.begin() + static_cast<std::ptrdiff_t>(i),
                 values.begin() + static_cast<std::ptrdiff_t>(i + piece));
  return values;
}

}  // namespace

TEST_CASE("barriers: threads see what others wrote before") {
  CHECK(always([] { return gives(reversed<true>, backwards(size)); }));
  CHECK(always([] { return gives(reversed_twice<true>, counted()); }));
  CHECK(always([] { return gives(reversed_in_warps<true>, backwards(32)); }));
}

TEST_CASE("race: missing barrier" * doctest::skip()) { gives(reversed<false>, {}); }
TEST_CASE("race: missing second barrier" * doctest::skip()) { gives(reversed_twice<false>, {}); }
TEST_CASE("race: shuffle for a barrier" * doctest::skip()) { gives(reversed_in_warps<false>, {}); }

TEST_CASE("barriers: a missing one is noticed") {
  if (sanitizer == Sanitizer::thread) {
    CHECK(races("race: missing barrier", "reversed<false>"));
    CHECK(races("race: missing second barrier", "reversed_twice<false>"));
    CHECK(races("race: shuffle for a barrier", "reversed_in_warps<false>"));
  } else {
    CHECK(!always([] { return gives(reversed<false>, backwards(size)); }));
    CHECK(!always([] { return gives(reversed_twice<false>, counted()); }));
  }
}

TEST_CASE("barriers: a block whose threads wait at different ones is told where") {
  const Values<float> out(size);
  CHECK(always([&] {
    return fault_of([&] { cuda::launch(tried(), split<true>, {1u, size}, out.begin()); }).empty();
  }));
  const auto faults = in_all_orders([&] {
    return fault_of([&] { cuda::launch(tried(), split<false>, {dim3(2, 3), size}, out.begin()); });
  });
  CHECK(faults[0].find("test/kernel/f32: block 0,0,0 thread 64: the block's threads wait at "
                       "different barriers: threads 0-63 in __syncthreads (") == 0);
  CHECK(faults[0].find("barriers.cpp:") != std::string::npos);
  CHECK(faults[1].find("test/kernel/f32: block 1,2,0 thread 64: ") == 0);
  for (const std::string& fault : faults)
    CHECK(fault.find("64-127 in __syncthreads (") != std::string::npos);
}

TEST_CASE("barriers: a deadlock is told, with who waits where") {
  const Values<float> out(size);
  CHECK(always([&] {
    return fault_of([&] { cuda::launch(tried(), tangled<true>, {1u, size}, out.begin()); }).empty();
  }));
  for (const std::string& fault : in_all_orders([&] {
         return fault_of([&] { cuda::launch(tried(), tangled<false>, {1u, size}, out.begin()); });
       })) {
    INFO(fault);
    CHECK(fault.find("deadlock: threads 0-0 in __syncwarp (") != std::string::npos);
    CHECK(fault.find("1-127 in __syncthreads (") != std::string::npos);
  }
}

TEST_CASE("barriers: threads that returned are not waited for") {
  CHECK(always([] {
    const Values<float> out(size);
    cuda::launch(tried(), few_stay, {1u, size}, out.begin());
    const std::vector<float> values = out.read();
    return std::count(values.begin(), values.end(), 1.0f) == 40;
  }));
}

TEST_CASE("barriers: twenty rounds of barriers, shuffles and votes") {
  const auto results = in_all_orders([] {
    const Values<float> out(size);
    cuda::launch(tried(), rounds, {1u, size, sizeof(OneRow)}, out.begin());
    return out.read();
  });
  for (const std::vector<float>& result : results)
    CHECK(result == results[0]);
  CHECK(results[0][0] != results[0][64]);
}

TEST_CASE("barriers: the device works after a fault") {
  const Values<float> out(size);
  for (int again = 0; again < 3; ++again) {
    CHECK(!fault_of([&] { cuda::launch(tried(), split<false>, {1u, size}, out.begin()); }).empty());
    CHECK(gives(reversed<true>, backwards(size)));
  }
}

}  // namespace likely::kernels
