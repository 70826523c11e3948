// What a kernel's body has beside C++: shared memory, 16-byte accesses, copies that run beside the
// arithmetic, and the instructions of the tensor cores. Every instruction stands here once, as PTX
// for a GPU and as its meaning on a CPU (kernels/emulate).
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/host_device.h"

namespace likely::kernels::cuda {

// LIKELY_SITE: where a kernel used it, which a fault of an emulated kernel names.
// LIKELY_DEVICE_SHARED: inlined on a GPU; emulated, compiled once for all kernels that share it.
#ifdef __CUDACC__
#define LIKELY_DEVICE __device__ __forceinline__
#define LIKELY_DEVICE_SHARED LIKELY_DEVICE
#define LIKELY_SITE
#define LIKELY_ALSO_SITE
#else
#define LIKELY_DEVICE __attribute__((always_inline)) inline
#define LIKELY_DEVICE_SHARED __attribute__((noinline)) inline
#define LIKELY_SITE std::source_location site = std::source_location::current()
#define LIKELY_ALSO_SITE , LIKELY_SITE
#endif

constexpr unsigned all_lanes = 0xffffffffu;
constexpr int warp_size = 32;

// Threads of a block, unless a kernel has its own number. Kernels that hold much in registers say
// with __launch_bounds__(block_threads, 2) that two blocks find room on a multiprocessor: not told
// how many, ptxas saves registers, and spills.
constexpr int block_threads = 256;

LIKELY_HD std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
LIKELY_HD bool aligned16(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

LIKELY_DEVICE int first_lane(unsigned lanes) {  // of at least one
#ifdef __CUDACC__
  return __ffs(static_cast<int>(lanes)) - 1;
#else
  return __builtin_ctz(lanes);
#endif
}

// The block's dynamic shared memory (Grid::shared_memory bytes, at least sizeof(T)). There is no
// other: what was not written reads as NaN when emulated.
template <class T>
LIKELY_DEVICE T& shared(LIKELY_SITE) {
#ifdef __CUDACC__
  extern __shared__ __align__(128) unsigned char memory[];
  return *reinterpret_cast<T*>(memory);
#else
  return *static_cast<T*>(emulate::shared_memory(sizeof(T), site));
#endif
}

// Sixteen bytes of elements, read or written by one instruction. Addresses are multiples of 16.
template <class T>
struct alignas(16) Pack {
  static constexpr int size = 16 / sizeof(T);
  T value[size];
};
template <class T>
LIKELY_DEVICE Pack<T> load16(const T* from LIKELY_ALSO_SITE) {
#ifndef __CUDACC__
  emulate::access16(from, site);
#endif
  return *reinterpret_cast<const Pack<T>*>(from);
}
template <class T>
LIKELY_DEVICE void store16(T* to, const Pack<T>& pack LIKELY_ALSO_SITE) {
#ifndef __CUDACC__
  emulate::access16(to, site);
#endif
  *reinterpret_cast<Pack<T>*>(to) = pack;
}

// PTX cp.async, sm_80 on: 16 bytes from global to shared memory, past the registers. Zeros where
// not `valid`; then `from` is not read. A commit closes a group of copies; wait<n> waits until at
// most the n latest groups of this thread are under way. Other threads see the bytes after a
// barrier.
LIKELY_DEVICE void cp_async16(void* to, const void* from, bool valid = true LIKELY_ALSO_SITE) {
#ifdef __CUDACC__
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes)
               : "memory");
#else
  emulate::cp_async16(to, from, valid, site);
#endif
}
LIKELY_DEVICE void cp_async_commit() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  emulate::cp_async_commit();
#endif
}
template <int pending>
LIKELY_DEVICE void cp_async_wait() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#else
  emulate::cp_async_wait(pending);
#endif
}

// PTX ldmatrix .x4: four 8 × 8 matrices of 16-bit elements from shared memory. Lane l gives the
// address of row l % 8 of matrix l / 8 (16 bytes, aligned) and receives in r[i] the elements
// (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1) of matrix i; transposed: (2 (l % 4), l / 4) and
// (2 (l % 4) + 1, l / 4). All lanes of a warp together.
LIKELY_DEVICE void ldmatrix_x4(std::uint32_t (&r)[4], const void* row LIKELY_ALSO_SITE) {
#ifdef __CUDACC__
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
#else
  emulate::ldmatrix_x4(r, row, false, site);
#endif
}
LIKELY_DEVICE void ldmatrix_x4_transposed(std::uint32_t (&r)[4], const void* row LIKELY_ALSO_SITE) {
#ifdef __CUDACC__
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
#else
  emulate::ldmatrix_x4(r, row, true, site);
#endif
}

// PTX mma.m16n8k16, bf16 in, f32 sums: d += a b. Lane l, g = l / 4, t = l % 4. a (row, k):
// a[0] (g, 2t), a[1] (g + 8, 2t), a[2] (g, 2t + 8), a[3] (g + 8, 2t + 8), each with its neighbour
// k + 1 in the upper half; b (k, column): b[0] (2t, g), b[1] (2t + 8, g), likewise; d (row,
// column): d[0] (g, 2t), d[1] (g, 2t + 1), d[2] (g + 8, 2t), d[3] (g + 8, 2t + 1).
LIKELY_DEVICE void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                            const std::uint32_t (&b)[2] LIKELY_ALSO_SITE) {
#ifdef __CUDACC__
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  emulate::mma_bf16(d, a, b, site);
#endif
}

// PTX mma.m16n8k8, tf32 in, f32 sums: a[0] (g, t), a[1] (g + 8, t), a[2] (g, t + 4),
// a[3] (g + 8, t + 4); b[0] (t, g), b[1] (t + 4, g); d as above. Operands come from to_tf32: of
// others the last 13 bits are cut off.
LIKELY_DEVICE void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                            const std::uint32_t (&b)[2] LIKELY_ALSO_SITE) {
#ifdef __CUDACC__
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  emulate::mma_tf32(d, a, b, site);
#endif
}
// PTX cvt.rna.tf32.f32: to the nearest with 10 bits of fraction, ties away from zero.
LIKELY_DEVICE std::uint32_t to_tf32(float x) {
#ifdef __CUDACC__
  std::uint32_t result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(x));
  return result;
#else
  return emulate::to_tf32(x);
#endif
}

}  // namespace likely::kernels::cuda
