// What every .cu file stands on: the launch of a kernel under its variant's name, the stream, and
// what the device can do. The words of CUDA come from <cuda_runtime.h>: the toolkit's under nvcc,
// kernels/emulate/include's elsewhere.
#pragma once
#include <cuda_runtime.h>

#include <array>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "kernels/variant.h"

namespace likely::kernels::cuda {

// Of the device that the front is serving (kernels/backend.h), on its own stream.
cudaStream_t stream();

struct Limits {
  int major = 0, minor = 0;       // compute capability
  std::size_t shared_memory = 0;  // bytes a block may have when it opts in: 99, 163 or 227 KiB
  int multiprocessors = 0;
};
const Limits& limits();

// Throws where a call of the runtime failed, naming `what` (an operation or a variant's launch).
void check(cudaError_t status, std::string_view what);

struct Grid {
  dim3 blocks;
  int threads;                    // of a block
  std::size_t shared_memory = 0;  // bytes of shared<T>(): sizeof(T)
};

// Parameters by value: they are copied into the launch, and into every replay of it.
template <class... Parameters, class... Arguments>
void launch(const Variant& variant, void (*kernel)(Parameters...), const Grid& grid,
            const Arguments&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...),
                "a kernel's parameters are copied as bytes");
  const auto name = [&] {
    return fmt::format("{}: launch of {} x {} x {} blocks of {} threads with {} bytes",
                       variant.name(), grid.blocks.x, grid.blocks.y, grid.blocks.z, grid.threads,
                       grid.shared_memory);
  };
  if (grid.shared_memory > 48 * 1024) {
    const cudaError_t status = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                    static_cast<int>(grid.shared_memory));
    if (status != cudaSuccess)
      check(status, name());
  }
  if (!variant.usable())
    variant.require_usable();
  variant.launched();
#ifdef __CUDACC__
  std::tuple<Parameters...> parameters(arguments...);
  std::array<void*, sizeof...(Parameters)> pointers = std::apply(
      [](auto&... each) { return std::array<void*, sizeof...(Parameters)>{&each...}; }, parameters);
  const cudaError_t status = cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid.blocks,
                                              dim3(static_cast<unsigned>(grid.threads)),
                                              pointers.data(), grid.shared_memory, stream());
#else
  const cudaError_t status = emulate::launch(variant.name(), kernel, grid.blocks, grid.threads,
                                             grid.shared_memory, stream(), arguments...);
#endif
  if (status != cudaSuccess)
    check(status, name());
}

}  // namespace likely::kernels::cuda
