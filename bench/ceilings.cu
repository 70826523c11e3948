#include <algorithm>
#include <vector>

#include "bench/ceilings.h"
#include "kernels/cuda/device.h"
#include "tensor/error.h"

namespace likely {
namespace {

using kernels::cuda::mma_bf16;
using kernels::cuda::mma_tf32;

constexpr int chains = 8, steps = 4096, threads = 256, warps = threads / 32;

// Independent chains hide how long an instruction takes. What they give is written, so that no
// compiler leaves them out.
__global__ void __launch_bounds__(threads) fma_chains(float* out, float factor) {
  float sums[chains];
  for (int i = 0; i < chains; ++i)
    sums[i] = static_cast<float>(threadIdx.x + i);
  for (int step = 0; step < steps; ++step)
    LIKELY_UNROLL
  for (int i = 0; i < chains; ++i)
    sums[i] = fmaf(sums[i], factor, factor);
  float total = 0;
  for (int i = 0; i < chains; ++i)
    total += sums[i];
  out[blockIdx.x * threads + threadIdx.x] = total;
}

template <bool bf16>
__global__ void __launch_bounds__(threads) mma_chains(float* out, unsigned operand) {
  float sums[chains][4] = {};
  const std::uint32_t a[4] = {operand, operand + threadIdx.x, operand, operand},
                      b[2] = {operand, operand + threadIdx.x};
  for (int step = 0; step < steps; ++step)
    LIKELY_UNROLL
  for (int i = 0; i < chains; ++i)
    bf16 ? mma_bf16(sums[i], a, b) : mma_tf32(sums[i], a, b);
  float total = 0;
  for (int i = 0; i < chains; ++i)
    total += sums[i][0] + sums[i][1] + sums[i][2] + sums[i][3];
  out[blockIdx.x * threads + threadIdx.x] = total;
}

void check(cudaError_t status) {
  require(status == cudaSuccess, "bench: the GPU's peak cannot be measured: {}.",
          cudaGetErrorString(status));
}

// The fastest of ten launches, in seconds.
template <class Launch>
double fastest(const Launch& launch) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  float best = 1e30f;
  for (int round = 0; round < 10; ++round) {
    float took = 0;
    check(cudaEventRecord(begin));
    launch();
    check(cudaEventRecord(end));
    check(cudaEventSynchronize(end));
    check(cudaEventElapsedTime(&took, begin, end));
    best = std::min(best, took);
  }
  check(cudaEventDestroy(begin));
  check(cudaEventDestroy(end));
  return best * 1e-3;
}

}  // namespace

double measure_gpu_peak(const std::string& precision) {
  int multiprocessors = 0;
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
  const int blocks = 8 * multiprocessors;
  float* out = nullptr;
  check(cudaMalloc(&out, sizeof(float) * threads * static_cast<std::size_t>(blocks)));
  // Of an instruction: a multiply-add of every thread, or a product of 16 x 8 x k of every warp.
  const double operations = precision == "f32"    ? 2.0 * threads
                            : precision == "tf32" ? 2.0 * 16 * 8 * 8 * warps
                                                  : 2.0 * 16 * 8 * 16 * warps;
  const double seconds = fastest([&] {
    if (precision == "f32")
      fma_chains<<<blocks, threads>>>(out, 0.5f);
    else if (precision == "tf32")
      mma_chains<false><<<blocks, threads>>>(out, 0x3f800000u);
    else
      mma_chains<true><<<blocks, threads>>>(out, 0x3f803f80u);
    check(cudaGetLastError());
  });
  check(cudaFree(out));
  return operations * chains * steps * blocks / seconds;
}

}  // namespace likely
