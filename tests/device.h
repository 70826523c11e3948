// The device under test. A file that includes this computes there, so that one case serves all: it
// is a test on the CPU, a second one on `cuda` emulated, and a third on the GPU where CUDA is
// built.
#pragma once
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "kernels/backend.h"
#include "kernels/gpu.h"

namespace likely {

// LIKELY_TEST_DEVICE: cpu (where unset), cuda (as open_cuda() opens it) or gpu (no emulation: where
// there is no GPU the process ends, and ctest says skipped).
inline std::string tested_device() {
  const char* const name = std::getenv("LIKELY_TEST_DEVICE");
  return name ? name : "cpu";
}
inline bool on_cuda() { return tested_device() != "cpu"; }

inline Device device_under_test() {
  static const Device device = [] {
    const std::string name = tested_device();
    require(name == "cpu" || name == "cuda" || name == "gpu",
            "LIKELY_TEST_DEVICE: there is no {}. Use cpu, cuda or gpu.", name);
    std::string reason;
    if (name == "gpu" && !kernels::gpu_serves(reason)) {
      fmt::print("skipped: no GPU can be used. {}\n", reason);
      std::exit(77);
    }
    if (name == "cpu")
      return Device{};
    kernels::open_cuda();
    kernels::meta_stands_for(Device::cuda);
    return Device(Device::cuda);
  }();
  return device;
}

// For a case whose promise is the CPU's own: its reduction tree, threads, instruction sets.
inline const doctest::skip cpu_only(on_cuda());

}  // namespace likely
