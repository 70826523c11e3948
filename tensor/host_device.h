// LIKELY_HD: functions for host and device, inlined wherever they are called. A copy of their own,
// compiled for one instruction set, must not be linked into code that runs on all.
#pragma once

#ifdef __CUDACC__
#define LIKELY_HD __host__ __device__ __forceinline__
#else
#define LIKELY_HD __attribute__((always_inline)) inline
#endif
