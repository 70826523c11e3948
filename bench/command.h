// What the benchmarks' command lines share: exit codes, and the device that is timed.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "kernels/gpu.h"
#include "tensor/error.h"
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

// Parses the arguments and runs: 0, 1 for wrong usage, 2 for anything else.
template <class Run>
int run_command(CLI::App& app, int argc, char** argv, Run run) {
  try {
    app.parse(argc, argv);
    run();
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  } catch (const UsageError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}

}  // namespace likely
