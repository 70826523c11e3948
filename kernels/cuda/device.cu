// The device `cuda`: memory, the stream and the limits of each GPU, and copies through pinned
// memory, which run beside the CPU.
#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/gpu.h"
#include "kernels/graph.h"

namespace likely::kernels::cuda {
namespace {

// Copies take the slots in turn: enough that those of a training step need not wait for the step
// before.
constexpr std::size_t slot_bytes = std::size_t{2} << 20;
constexpr std::size_t slot_count = 16;

// A piece of pinned memory, and when the last copy through it was done.
struct Slot {
  std::byte* memory = nullptr;
  cudaEvent_t done = nullptr;
};

struct State {
  cudaStream_t stream = nullptr;
  Limits limits;
  Slot slots[slot_count];
  std::size_t next = 0;  // slot
};

int attribute(cudaDeviceAttr what, int index) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, what, index), "device: what the GPU can do");
  return value;
}

// Made on first use and never destroyed: the runtime may be gone before static storage is.
State& state_of(int index) {
  static std::mutex mutex;
  static auto& states = *new std::map<int, State>;
  const std::lock_guard lock(mutex);
  if (!states.contains(index))
    use_gpu(index);
  check(cudaSetDevice(index), "device: choosing the GPU");
  const auto [place, fresh] = states.try_emplace(index);
  State& state = place->second;
  if (fresh) {
    check(cudaStreamCreateWithFlags(&state.stream, cudaStreamNonBlocking), "device: a stream");
    state.limits.major = attribute(cudaDevAttrComputeCapabilityMajor, index);
    state.limits.minor = attribute(cudaDevAttrComputeCapabilityMinor, index);
    state.limits.shared_memory = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, index);
    state.limits.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, index);
    for (Slot& slot : state.slots) {
      void* memory = nullptr;
      check(cudaMallocHost(&memory, slot_bytes), "device: pinned memory");
      slot.memory = static_cast<std::byte*>(memory);
      check(cudaEventCreateWithFlags(&slot.done, cudaEventDisableTiming), "device: an event");
    }
  }
  return state;
}

void* allocate(int index, std::size_t bytes) {
  state_of(index);
  void* block = nullptr;
  const cudaError_t status = cudaMalloc(&block, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(status, "allocate");
  return block;
}

void release(int index, void* block, std::size_t) {
  state_of(index);
  check(cudaFree(block), "release");
}

bool on_device(const void* address) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, address), "copy");
  return attributes.type == cudaMemoryTypeDevice;
}

// Calls f(slot, begin, size) for piece after piece, with the slots in turn.
template <class F>
void in_pieces(State& state, std::size_t bytes, F f) {
  for (std::size_t begin = 0; begin < bytes; begin += slot_bytes)
    f(state.slots[state.next++ % slot_count], begin, std::min(slot_bytes, bytes - begin));
}

void wait_for(const Slot& slot) {
  if (cudaEventQuery(slot.done) == cudaSuccess)
    return;
  cudaGetLastError();  // "not ready" is none
  ++traffic().waits;
  check(cudaEventSynchronize(slot.done), "copy to the device");
}

// Returns when all has been read; what the device still does runs behind.
void copy_to_device(State& state, std::byte* to, const std::byte* from, std::size_t bytes) {
  in_pieces(state, bytes, [&](Slot& slot, std::size_t begin, std::size_t size) {
    wait_for(slot);
    std::memcpy(slot.memory, from + begin, size);
    check(cudaMemcpyAsync(to + begin, slot.memory, size, cudaMemcpyHostToDevice, state.stream),
          "copy to the device");
    check(cudaEventRecord(slot.done, state.stream), "copy to the device");
  });
}

// One piece arrives while the one before is taken away.
void copy_to_host(State& state, std::byte* to, const std::byte* from, std::size_t bytes) {
  const auto take = [&](Slot& slot, std::size_t begin, std::size_t size) {
    check(cudaEventSynchronize(slot.done), "copy from the device");
    std::memcpy(to + begin, slot.memory, size);
  };
  ++traffic().reads;
  Slot* before = nullptr;
  in_pieces(state, bytes, [&](Slot& slot, std::size_t begin, std::size_t size) {
    check(cudaMemcpyAsync(slot.memory, from + begin, size, cudaMemcpyDeviceToHost, state.stream),
          "copy from the device");
    check(cudaEventRecord(slot.done, state.stream), "copy from the device");
    if (before)
      take(*before, begin - slot_bytes, slot_bytes);
    before = &slot;
    if (begin + size == bytes)
      take(slot, begin, size);
  });
}

void copy(int index, void* to, const void* from, std::size_t bytes) {
  static std::mutex mutex;  // the slots serve one copy at a time
  State& state = state_of(index);
  const std::lock_guard lock(mutex);
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  const bool from_host = !on_device(from), to_host = !on_device(to);
  require(!recording() || (!from_host && !to_host),
          "copy: {} bytes go {} the host while launches are recorded: each replay would see those "
          "of now. The latest operation was {}.",
          bytes, from_host ? "from" : "to", latest_operation());
  if (to_host)
    copy_to_host(state, target, source, bytes);
  else if (from_host)
    copy_to_device(state, target, source, bytes);
  else
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, state.stream), "copy");
}

const bool registered = [] {
  Memory memory{allocate, release, copy};
#ifndef __CUDACC__
  memory.opened = [](int index, void* block, std::size_t size, std::size_t bytes) {
    emulate::opened(state_of(index).stream, block, size, bytes);
  };
  memory.closed = [](int index, void* block, std::size_t size) {
    emulate::closed(state_of(index).stream, block, size);
  };
#endif
  register_memory(Device::cuda, memory);
  serve_stream([] { return static_cast<void*>(stream()); });
  return true;
}();

}  // namespace

cudaStream_t stream() { return state_of(current_device().index).stream; }

const Limits& limits() { return state_of(current_device().index).limits; }

void check(cudaError_t status, std::string_view what) {
  if (status == cudaSuccess)
    return;
  cudaGetLastError();  // so that the next call does not report it again
  if (status == cudaErrorMemoryAllocation)
    fail<OutOfMemory>("{}: the GPU has no memory left. Use a smaller batch or model.", what);
  fail(
      "{}: CUDA reports {}: {}. The latest operation was {}; with CUDA_LAUNCH_BLOCKING=1 it is "
      "the one at fault.",
      what, cudaGetErrorName(status), cudaGetErrorString(status), latest_operation());
}

}  // namespace likely::kernels::cuda
