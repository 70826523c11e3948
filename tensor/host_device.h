// LIKELY_HD: functions for host and device, inlined wherever they are called. A copy of their own,
// compiled for one instruction set, must not be linked into code that runs on all. LIKELY_UNROLL
// unrolls the short loop below it early enough for the loop around it to be vectorised.
#pragma once

#ifdef __CUDACC__
#define LIKELY_HD __host__ __device__ __forceinline__
#define LIKELY_UNROLL _Pragma("unroll")
#else
#define LIKELY_HD __attribute__((always_inline)) inline
#define LIKELY_UNROLL _Pragma("GCC unroll 8")
#endif
