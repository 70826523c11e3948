// cp.async: copies that land early or late, and kernels that are right only for one of them.
#include <numeric>

#include "tests/emulate/harness.h"

namespace likely::kernels {
namespace {

constexpr int threads = 32, steps = 6, width = 4 * threads;

struct TwoRows {
  float value[2][width];
};

enum class Waits { right, never, too_few, without_barrier };

// Each step adds what the other end of the row holds; the next row is on its way meanwhile.
template <Waits waits>
__global__ void add_rows(const float* in, float* out) {
  TwoRows& block = cuda::shared<TwoRows>();
  const int t = static_cast<int>(threadIdx.x);
  const auto fetch = [&](int step) {
    cuda::cp_async16(&block.value[step % 2][4 * t], in + (step < steps ? step : 0) * width + 4 * t,
                     step < steps);
    cuda::cp_async_commit();
  };
  float sum = 0;
  fetch(0);
  for (int step = 0; step < steps; ++step) {
    fetch(step + 1);
    if constexpr (waits == Waits::too_few)
      cuda::cp_async_wait<2>();
    else if constexpr (waits != Waits::never)
      cuda::cp_async_wait<1>();
    __syncthreads();
    for (int i = 0; i < 4; ++i)
      sum += block.value[step % 2][width - 1 - 4 * t - i];
    if constexpr (waits != Waits::without_barrier)
      __syncthreads();
  }
  out[t] = sum;
}

__global__ void fetch_one(const float* from, float* out, int to, bool valid) {
  TwoRows& block = cuda::shared<TwoRows>();
  cuda::cp_async16(&block.value[0][0] + to, from, valid);
  cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  for (int i = 0; i < 4; ++i)
    out[i] = (&block.value[0][0] + to)[i];
}

template <Waits waits>
bool right() {
  std::vector<float> in(steps * width), expected(threads);
  std::iota(in.begin(), in.end(), 0.0f);
  for (int t = 0; t < threads; ++t)
    for (int step = 0; step < steps; ++step)
      for (int i = 0; i < 4; ++i)
        expected[t] += in[step * width + width - 1 - 4 * t - i];
  const Values<float> from(in), out(threads);
  cuda::launch(tried(), add_rows<waits>, {1u, threads, sizeof(TwoRows)}, from.begin(), out.begin());
  return out.read() == expected;
}

std::string fetch_fault(const float* from, float* out, int to, bool valid) {
  return fault_of([&] {
    cuda::launch(tried(), fetch_one, {1u, 1, sizeof(TwoRows)}, from, out, to, valid);
  });
}

}  // namespace

TEST_CASE("race: copies" * doctest::skip()) {
  emulation().copies = Emulation::Copies::early;
  right<Waits::without_barrier>();
}

TEST_CASE("copies: a pipeline that waits is right, early and late") {
  CHECK(always(right<Waits::right>));
}

TEST_CASE("copies: a missing wait is noticed where copies land late") {
  const Settings settings;
  for (const auto order : {Emulation::Order::forward, Emulation::Order::reverse}) {
    emulation().order = order;
    emulation().copies = Emulation::Copies::late;
    if (sanitizer != Sanitizer::thread) {  // where a report would end the test
      CHECK(!right<Waits::never>());
      CHECK(!right<Waits::too_few>());
    }
    emulation().copies = Emulation::Copies::early;
    CHECK(right<Waits::never>());
    CHECK(right<Waits::too_few>());
  }
}

TEST_CASE("copies: a copy over a buffer that others still read is noticed") {
  if (sanitizer == Sanitizer::thread)
    CHECK(races("race: copies", "add_rows"));
  else
    CHECK(!always(right<Waits::without_barrier>));
}

TEST_CASE("copies: addresses are checked; what is not valid is not read") {
  const Values<float> in(std::vector<float>(8, 2)), out(4);
  CHECK(always([&] {
    return fetch_fault(in.begin(), out.begin(), 4, true).empty() &&
           out.read() == std::vector<float>(4, 2) &&
           fetch_fault(nullptr, out.begin(), 4, false).empty() &&
           out.read() == std::vector<float>(4, 0);
  }));
  const auto says = [&](const std::string& fault, const char* words) {
    INFO(fault);
    CHECK(fault.find(words) != std::string::npos);
    CHECK(fault.find("copies.cpp:") != std::string::npos);
  };
  says(fetch_fault(in.begin() + 1, out.begin(), 0, true), "cp.async from: the address 0x");
  says(fetch_fault(in.begin(), out.begin(), 1, true), "cp.async to: the address 0x");
  says(fetch_fault(in.begin(), out.begin(), 2 * width, true),
       "is not in the block's shared memory");
  says(fetch_fault(nullptr, out.begin(), 0, true), "is not in the device's memory");
}

}  // namespace likely::kernels
