// What the benchmarks' command lines share: exit codes, and the device that is timed.
#pragma once
#include <string>

#include "kernels/gpu.h"
#include "tensor/error.h"
#include "zoo/run/command_line.h"
#include "zoo/run/machine.h"

namespace likely {

// Emulated kernels compute what a GPU computes, and their times say nothing about one.
inline Device timed_device(const std::string& name) {
  if (name == "cuda" && kernels::cuda_here() == kernels::Cuda::emulated) {
    std::string reason;
    if (kernels::gpu_serves(reason))
      reason = "LIKELY_EMULATE is set";
    fail<UsageError>(
        "bench: --device cuda has no GPU to time: {}. Emulated kernels are checked by the tests, "
        "not timed. Take a machine with a GPU, or --device cpu.",
        reason.empty() ? "there is no NVIDIA driver" : reason);
  }
  return device_named(name);
}

// A program's main: reads the words and runs, with the exit codes of run_program().
template <class Run>
int run_command(CLI::App& app, int argc, char** argv, Run run) {
  return run_program([&] {
    if (parse(app, argc, argv))
      run();
    return 0;
  });
}

}  // namespace likely
