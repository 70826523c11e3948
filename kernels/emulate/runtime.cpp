// The calls of the runtime that are about the device and its memory.
#include "kernels/emulate/runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "kernels/emulate/call.h"
#include "kernels/emulate/memory.h"
#include "kernels/emulate/profile.h"
#include "kernels/emulate/sanitizers.h"

namespace emulate = likely::kernels::emulate;
using emulate::arena;
using emulate::call;
using emulate::on_device;
using emulate::refuse;
using emulate::streams;

namespace {

auto& pinned = *new std::map<const std::byte*, std::size_t>;  // begin → size

bool is_pinned(const void* address) {
  const auto next = pinned.upper_bound(static_cast<const std::byte*>(address));
  if (next == pinned.begin())
    return false;
  const auto [begin, size] = *std::prev(next);
  return static_cast<const std::byte*>(address) < begin + size;
}

void check_range(const char* what, const void* address, std::size_t bytes) {
  if (on_device(address) && !arena().holds(address, bytes))
    refuse(cudaErrorInvalidValue, "{}: {} bytes at {} are not within one block of the device", what,
           bytes, address);
}

void check_direction(bool to_device, bool from_device, cudaMemcpyKind kind) {
  const auto actual = static_cast<cudaMemcpyKind>((from_device ? 2 : 0) + (to_device ? 1 : 0));
  if (kind != cudaMemcpyDefault && kind != actual)
    refuse(cudaErrorInvalidValue, "copy: said to go {}, the addresses say {}",
           static_cast<int>(kind), static_cast<int>(actual));
}

void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool to_device = on_device(to), from_device = on_device(from);
  check_direction(to_device, from_device, kind);
  check_range("copy to", to, bytes);
  check_range("copy from", from, bytes);
  const bool captured = streams().at(stream).capturing != nullptr;
  if (!from_device && to_device && !is_pinned(from) && !captured) {
    const auto* begin = static_cast<const std::byte*>(from);  // the caller may change it at once
    streams().submit(stream, [to, kept = std::vector(begin, begin + bytes)] {
      std::memcpy(to, kept.data(), kept.size());
    });
    return;
  }
  const bool waits = !to_device && !is_pinned(to);
  if (waits)
    streams().forbid_in_capture(stream, "a copy to pageable memory");
  streams().submit(stream, [=] { std::memmove(to, from, bytes); });
  if (waits)
    streams().run(stream);
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return call([&] {
    if (device != 0)
      refuse(cudaErrorInvalidDevice, "there is one emulated device, not {}", device + 1);
  });
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call([&] {
    if (device != 0)
      refuse(cudaErrorInvalidDevice, "there is one emulated device, not {}", device + 1);
    const emulate::Profile& profile = emulate::profile();
    *properties = {.name = {},
                   .totalGlobalMem = arena().size(),
                   .sharedMemPerBlock = emulate::shared_memory_unasked,
                   .sharedMemPerBlockOptin = profile.shared_memory,
                   .major = profile.major,
                   .minor = profile.minor,
                   .multiProcessorCount = profile.multiprocessors,
                   .warpSize = warpSize,
                   .maxThreadsPerBlock = 1024,
                   .maxThreadsPerMultiProcessor = profile.threads};
    std::snprintf(properties->name, sizeof properties->name, "emulated %s", profile.name);
  });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, device))
    return status;
  const std::map<cudaDeviceAttr, int> values = {
      {cudaDevAttrMaxThreadsPerBlock, properties.maxThreadsPerBlock},
      {cudaDevAttrMaxSharedMemoryPerBlock, static_cast<int>(properties.sharedMemPerBlock)},
      {cudaDevAttrWarpSize, properties.warpSize},
      {cudaDevAttrMultiProcessorCount, properties.multiProcessorCount},
      {cudaDevAttrMaxThreadsPerMultiProcessor, properties.maxThreadsPerMultiProcessor},
      {cudaDevAttrComputeCapabilityMajor, properties.major},
      {cudaDevAttrComputeCapabilityMinor, properties.minor},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin,
       static_cast<int>(properties.sharedMemPerBlockOptin)},
  };
  return call([&] {
    const auto found = values.find(attribute);
    if (found == values.end())
      refuse(cudaErrorInvalidValue, "the emulated device does not know its attribute {}",
             static_cast<int>(attribute));
    *value = found->second;
  });
}

cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* total) {
  return call([&] {
    *available = arena().available();
    *total = arena().size();
  });
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  return call([&] { emulate::allow_shared_memory(kernel, static_cast<std::size_t>(value)); });
}

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  return call([&] {
    streams().forbid_in_capture("cudaMalloc");
    *block = bytes == 0 ? nullptr : arena().allocate(bytes);
    if (bytes > 0 && !*block)
      refuse(cudaErrorMemoryAllocation, "{} bytes asked for, {} of {} are free", bytes,
             arena().available(), arena().size());
  });
}
cudaError_t cudaFree(void* block) {
  return call([&] {
    streams().forbid_in_capture("cudaFree");
    streams().run_all();
    if (block && !arena().release(block))
      refuse(cudaErrorInvalidValue, "cudaFree: no block begins at {}", block);
  });
}
cudaError_t cudaMallocHost(void** block, std::size_t bytes) {
  return call([&] {
    *block = ::operator new (bytes, std::align_val_t{4096});
    pinned.emplace(static_cast<std::byte*>(*block), bytes);
  });
}
cudaError_t cudaFreeHost(void* block) {
  return call([&] {
    streams().run_all();
    if (block && pinned.erase(static_cast<std::byte*>(block)) == 0)
      refuse(cudaErrorInvalidValue, "cudaFreeHost: no pinned block begins at {}", block);
    ::operator delete (block, std::align_val_t{4096});
  });
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  return call([&] {
    *attributes = {on_device(address)   ? cudaMemoryTypeDevice
                   : is_pinned(address) ? cudaMemoryTypeHost
                                        : cudaMemoryTypeUnregistered,
                   0};
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return call([&] { copy(to, from, bytes, kind, stream); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return call([&] {
    streams().forbid_in_capture("cudaMemcpy");
    copy(to, from, bytes, kind, nullptr);
    streams().run(nullptr);
  });
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return call([&] {
    if (!on_device(to))
      refuse(cudaErrorInvalidValue, "memset: {} is not in the device's memory", to);
    check_range("memset", to, bytes);
    streams().submit(stream, [=] { std::memset(to, value, bytes); });
  });
}

namespace likely::kernels::emulate {

void opened(cudaStream_t stream, void* block, std::size_t size, std::size_t bytes) {
  call([&] {
    streams().submit(stream, [=] {
      permit(block, bytes);
      forbid(static_cast<std::byte*>(block) + bytes, size - bytes);
      std::memset(block, 0xff, bytes);
    });
  });
}

void closed(cudaStream_t stream, void* block, std::size_t size) {
  call([&] { streams().submit(stream, [=] { forbid(block, size); }); });
}

}  // namespace likely::kernels::emulate
