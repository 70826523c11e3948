// Launches that no GPU of the profile would accept.
#include "tests/emulate/harness.h"

namespace likely::kernels {
namespace {

__global__ void nothing() {}

// What the launch of such a grid is answered; empty where it runs.
std::string answer(const cuda::Grid& grid) {
  try {
    return fault_of([&] { cuda::launch(tried(), nothing, grid); });
  } catch (const Error& error) {
    return error.what();
  }
}

void refuses(const cuda::Grid& grid, const char* words) {
  const std::string text = answer(grid);
  INFO(text);
  CHECK(text.find(words) != std::string::npos);
  CHECK(text.find("test/kernel/f32") != std::string::npos);
}

}  // namespace

TEST_CASE("limits: of grids and blocks") {
  CHECK(answer({dim3(3, 2, 2), 1024}) == "");
  CHECK(answer({dim3(1, 65535, 1), 1}) == "");
  CHECK(answer({dim3(1, 1, 65535), 1}) == "");
  refuses({dim3(0), 32}, "cudaErrorInvalidConfiguration");
  refuses({dim3(1, 0), 32}, "a grid of 1 x 0 x 1 blocks");
  refuses({dim3(1, 65536), 32}, "y and z in 1..65535");
  refuses({dim3(1, 1, 65536), 32}, "y and z in 1..65535");
  refuses({dim3(0x80000000u), 32}, "x must be in 1..2147483647");
  refuses({1u, 0}, "0 threads a block");
  refuses({1u, 1025}, "1025 threads a block: there must be 1..1024");
}

TEST_CASE(
    "limits: more than 48 KiB of shared memory only where the kernel asked, and the device has") {
  const Settings settings;
  const auto raw = [](void (*kernel)(), std::size_t bytes) {
    return emulate::launch("test", kernel, 1u, 32, bytes, cuda::stream());
  };
  const auto other = +[] {};  // nobody asked for it
  CHECK(raw(other, 48 * 1024) == cudaSuccess);
  CHECK(raw(other, 48 * 1024 + 1) == cudaErrorInvalidValue);
  wait();
  for (const auto& [profile, most] :
       {std::pair{"rtx40", 99}, std::pair{"a100", 163}, std::pair{"h100", 227}}) {
    emulation().profile = profile;
    const auto bytes = static_cast<std::size_t>(most) * 1024;
    CHECK(answer({1u, 32, bytes}) == "");
    refuses({1u, 32, bytes + 16}, fmt::format("{} has {} for a block", profile, bytes).c_str());
    CHECK(raw(nothing, bytes + 16) == cudaErrorInvalidValue);
  }
  cudaGetLastError();
}

TEST_CASE("limits: the device is what its profile says") {
  const Settings settings;
  const auto attribute = [](cudaDeviceAttr what) {
    int value = 0;
    CHECK(cudaDeviceGetAttribute(&value, what, 0) == cudaSuccess);
    return value;
  };
  emulation().profile = "rtx40";
  CHECK(attribute(cudaDevAttrComputeCapabilityMajor) == 8);
  CHECK(attribute(cudaDevAttrComputeCapabilityMinor) == 9);
  CHECK(attribute(cudaDevAttrMaxThreadsPerMultiProcessor) == 1536);
  CHECK(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin) == 99 * 1024);
  emulation().profile = "h100";
  CHECK(attribute(cudaDevAttrComputeCapabilityMajor) == 9);
  CHECK(attribute(cudaDevAttrMultiProcessorCount) == 132);
  CHECK(attribute(cudaDevAttrMaxSharedMemoryPerBlock) == 48 * 1024);
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  CHECK(std::string(properties.name) == "emulated h100");
  CHECK(cudaGetDeviceProperties(&properties, 1) == cudaErrorInvalidDevice);
  CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
  int count = 0;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK(count == 1);
  emulation().profile = "t4";
  CHECK(answer({1u, 32}).find("unknown profile: t4. Known are rtx40, a100, h100.") !=
        std::string::npos);
  cudaGetLastError();
}

}  // namespace likely::kernels
