// The words that CUDA adds to C++, and the thread that runs.
#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

// The engine sets these whenever another thread goes on.
#define LIKELY_EMULATE_HIDDEN __attribute__((visibility("hidden")))
LIKELY_EMULATE_HIDDEN extern uint3 threadIdx, blockIdx;
LIKELY_EMULATE_HIDDEN extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;
