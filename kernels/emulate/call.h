// What every call of the runtime has in common: one at a time, and an answer in CUDA's numbers.
#pragma once
#include "kernels/emulate/stream.h"

namespace likely::kernels::emulate {

cudaError_t answer(cudaError_t code, const char* why);  // remembers both

template <class F>
cudaError_t call(F f) {
  const std::lock_guard lock(streams().mutex);
  try {
    f();
    return cudaSuccess;
  } catch (const Refused& refused) {
    return answer(refused.code, refused.what());
  } catch (const Fault& fault) {
    return answer(cudaErrorLaunchFailure, fault.what());
  } catch (const std::bad_alloc&) {
    return answer(cudaErrorMemoryAllocation, "the host has no memory left");
  }
}

}  // namespace likely::kernels::emulate
