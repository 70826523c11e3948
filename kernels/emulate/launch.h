// A launch: a kernel with its parameters, as they are copied to the device and kept in a graph.
#pragma once
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <tuple>

#include "kernels/emulate/language.h"
#include "kernels/emulate/runtime.h"

namespace likely::kernels::emulate {

struct Launch {
  std::string name;  // of the variant
  dim3 blocks;
  int threads = 1;
  std::size_t shared_memory = 0;
  const void* kernel = nullptr;
  void (*call)(const void* arguments) = nullptr;  // one thread of it
  std::shared_ptr<const void> arguments;
  std::size_t argument_bytes = 0;
};

// Checks it against the device's limits and queues it.
cudaError_t enqueue(Launch launch, cudaStream_t stream);

// Runs all its blocks. Throws Fault.
void run(const Launch& launch);

template <class... Parameters, class... Arguments>
cudaError_t launch(std::string name, void (*kernel)(Parameters...), dim3 blocks, int threads,
                   std::size_t shared_memory, cudaStream_t stream, const Arguments&... arguments) {
  struct Call {
    std::tuple<Parameters...> values;
    void (*kernel)(Parameters...);
  };
  // Zeros between the arguments and within them, where the host's padding was: what looks like a
  // pointer is one.
  auto* const call =
      new (std::calloc(1, sizeof(Call))) Call{std::tuple<Parameters...>(arguments...), kernel};
  std::apply([](auto&... each) { (__builtin_clear_padding(&each), ...); }, call->values);
  return enqueue({.name = std::move(name),
                  .blocks = blocks,
                  .threads = threads,
                  .shared_memory = shared_memory,
                  .kernel = reinterpret_cast<const void*>(kernel),
                  .call =
                      [](const void* of) {
                        const auto& call = *static_cast<const Call*>(of);
                        std::apply(call.kernel, call.values);
                      },
                  .arguments = std::shared_ptr<const void>(call, std::free),
                  .argument_bytes = sizeof(std::tuple<Parameters...>)},
                 stream);
}

}  // namespace likely::kernels::emulate
