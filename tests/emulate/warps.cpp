// Shuffles and votes, and masks that name the wrong lanes.
#include "tests/emulate/harness.h"

namespace likely::kernels {
namespace {

// What a lane receives from each kind of shuffle, and what the votes say.
struct Received {
  int from5, up3, down3, xor6, in_eights, twice;
  double wide;
  unsigned ballot;
  int any, all;
};

__global__ void exchange(Received* out) {
  const int lane = static_cast<int>(threadIdx.x) % 32, mine = 100 + lane;
  Received& r = out[threadIdx.x];
  r.from5 = __shfl_sync(cuda::all_lanes, mine, 5);
  r.up3 = __shfl_up_sync(cuda::all_lanes, mine, 3);
  r.down3 = __shfl_down_sync(cuda::all_lanes, mine, 3);
  r.xor6 = __shfl_xor_sync(cuda::all_lanes, mine, 6);
  r.in_eights = __shfl_down_sync(cuda::all_lanes, mine, 2, 8);
  r.wide = __shfl_sync(cuda::all_lanes, 1.0 / (1 + lane), 37);
  r.ballot = __ballot_sync(cuda::all_lanes, lane % 3 == 0);
  r.any = __any_sync(cuda::all_lanes, lane == 31);
  r.all = __all_sync(cuda::all_lanes, lane != 31);
  // Halves that go their own ways.
  r.twice = lane < 16 ? __shfl_xor_sync(0x0000ffff, mine, 1) : __shfl_xor_sync(0xffff0000, mine, 2);
}

enum class Mask { right, of_the_returned, of_the_missing, without_me, without_the_source };

constexpr unsigned named(Mask mask) {
  switch (mask) {
    case Mask::right:
    case Mask::without_the_source:
      return 0xff;
    case Mask::without_me:
      return 0x3fffffff;
    default:
      return cuda::all_lanes;
  }
}

template <Mask mask>
__global__ void swap_halves(int* out) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int last = mask == Mask::right || mask == Mask::without_the_source ? 8
                       : mask == Mask::of_the_returned                         ? 16
                                                                               : 32;
  constexpr int distance = mask == Mask::without_me ? 1 : mask == Mask::without_the_source ? 8 : 4;
  if (lane < last)
    out[threadIdx.x] = __shfl_xor_sync(named(mask), lane, distance);
}

template <Mask mask>
void always_reports(const char* words, int threads) {
  for (const std::string& fault : in_all_orders([&] {
         const Values<int> out(64);
         return fault_of([&] {
           cuda::launch(tried(), swap_halves<mask>, {1u, threads}, out.begin());
         });
       })) {
    INFO(fault);
    CHECK(fault.find(words) != std::string::npos);
    CHECK(fault.find("warps.cpp:") != std::string::npos);
  }
}

}  // namespace

TEST_CASE("warps: shuffles and votes do what CUDA's do") {
  for (const std::vector<Received>& lanes : in_all_orders([] {
         const Values<Received> out(64);
         cuda::launch(tried(), exchange, {1u, 64}, out.begin());
         return out.read();
       }))
    for (int i = 0; i < 64; ++i) {
      const int lane = i % 32;
      const Received& r = lanes[static_cast<std::size_t>(i)];
      CHECK(r.from5 == 105);
      CHECK(r.up3 == 100 + (lane < 3 ? lane : lane - 3));
      CHECK(r.down3 == 100 + (lane > 28 ? lane : lane + 3));
      CHECK(r.xor6 == 100 + (lane ^ 6));
      CHECK(r.in_eights == 100 + (lane % 8 < 6 ? lane + 2 : lane));
      CHECK(r.wide == 1.0 / 6);
      CHECK(r.ballot == 0x49249249u);
      CHECK(r.any == 1);
      CHECK(r.all == 0);
      CHECK(r.twice == 100 + (lane < 16 ? lane ^ 1 : lane ^ 2));
    }
}

TEST_CASE("warps: a mask must name the calling lane and only lanes that come") {
  CHECK(always([] {
    const Values<int> out(32);
    return fault_of([&] {
             cuda::launch(tried(), swap_halves<Mask::right>, {1u, 32}, out.begin());
           })
        .empty();
  }));
  always_reports<Mask::of_the_returned>("returned", 32);
  always_reports<Mask::of_the_missing>("names lanes that the block does not have: 0xffff0000", 48);
  always_reports<Mask::without_me>("the mask 0x3fffffff leaves out the calling lane ", 32);
  always_reports<Mask::without_the_source>("which the mask 0x000000ff leaves out", 32);
}

}  // namespace likely::kernels
