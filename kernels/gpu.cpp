// The driver's own interface (libcuda.so.1), called through dlsym: the few calls that tell whether
// a GPU can be used, with each refusal in words.
#include "kernels/gpu.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>

#include "kernels/first_contact.h"
#include "kernels/module.h"
#include "tensor/error.h"

namespace likely::kernels {
namespace {

constexpr const char* gpu_module = "liblikely_cuda.so";
constexpr const char* emulated_module = "liblikely_emulated.so";

// Of the toolkit that likely is built with; the driver must support that major version.
#ifndef LIKELY_CUDA_VERSION
#define LIKELY_CUDA_VERSION 13000
#endif
constexpr int least_driver = LIKELY_CUDA_VERSION / 1000 * 1000;

// From cuda.h, which a machine without the toolkit does not have.
enum Attribute {
  multiprocessor_count = 16,
  capability_major = 75,
  capability_minor = 76,
  shared_memory_opt_in = 97,
};
enum DriverResult {
  success = 0,
  stub_library = 34,
  device_unavailable = 46,
  no_device = 100,
  system_not_ready = 802,
  driver_mismatch = 803,
};

class Driver {
 public:
  explicit Driver(const char* library) : library_(dlopen(library, RTLD_NOW | RTLD_LOCAL)) {}

  bool there() const { return library_; }
  template <class... Arguments>
  int call(const char* name, Arguments... arguments) const {
    const auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library_, name));
    return function ? function(arguments...) : stub_library;
  }

 private:
  void* library_;
};

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string refusal(int result) {
  switch (result) {
    case stub_library:
      return "the driver library is the toolkit's stub: install NVIDIA's driver";
    case device_unavailable:
      return "the GPU is busy: another process holds it exclusively";
    case no_device:
      return "the driver finds no GPU (CUDA_VISIBLE_DEVICES may hide it)";
    case system_not_ready:
      return "the GPUs' fabric is not ready: start nvidia-fabricmanager";
    case driver_mismatch:
      return "the driver's library and its kernel module differ in version: reboot";
    default:
      return fmt::format("the driver reports error {}", result);
  }
}

// Fills in the device of that index; the driver's result says how far that went.
int describe(const Driver& driver, Gpu& gpu) {
  int device = 0;
  std::array<char, 256> name{};
  if (const int result = driver.call("cuDeviceGet", &device, gpu.index))
    return result;
  driver.call("cuDeviceGetName", name.data(), static_cast<int>(name.size()), device);
  const auto attribute = [&](Attribute which) {
    int value = 0;
    driver.call("cuDeviceGetAttribute", &value, static_cast<int>(which), device);
    return value;
  };
  gpu.major = attribute(capability_major);
  gpu.minor = attribute(capability_minor);
  gpu.multiprocessors = attribute(multiprocessor_count);
  gpu.shared_memory = static_cast<std::size_t>(attribute(shared_memory_opt_in));
  driver.call("cuDeviceTotalMem_v2", &gpu.memory, device);
  gpu.name = name.data();
  void* context = nullptr;  // kept: the runtime uses the same one
  return driver.call("cuDevicePrimaryCtxRetain", &context, device);
}

std::mutex open_device_mutex;  // of open_device
std::optional<Cuda> open_device;
std::set<int> proven;  // GPUs; empty where they are opened unproven
void* (*stream_of_current_device)() = nullptr;

}  // namespace

Gpu ask_driver(const char* library, int index) {
  Gpu gpu;
  gpu.index = index;
  const Driver driver(library);
  if (!driver.there() || driver.call("cuDriverGetVersion", &gpu.driver) != success)
    return gpu;
  if (gpu.driver < least_driver) {
    gpu.problem = fmt::format("the driver supports CUDA {}, likely needs {}{}",
                              version_text(gpu.driver), version_text(least_driver),
                              least_driver == 13000 ? ": install driver 580 or later" : "");
    return gpu;
  }
  int result = driver.call("cuInit", 0u);
  if (result == success)
    result = driver.call("cuDeviceGetCount", &gpu.count);
  if (result == success)
    result = gpu.count > index ? describe(driver, gpu) : no_device;
  if (result != success)
    gpu.problem = refusal(result);
  if (!gpu.name.empty() && gpu.major < 8)
    gpu.problem = fmt::format("{} has compute capability {}.{}, likely needs 8.0 (Ampere)",
                              gpu.name, gpu.major, gpu.minor);
  return gpu;
}

const Gpu& find_gpu(int index) {
  static std::mutex asking;
  static std::map<int, Gpu> found;
  const std::lock_guard lock(asking);
  const auto known = found.find(index);
  return known != found.end()
             ? known->second
             : found.emplace(index, ask_driver("libcuda.so.1", index)).first->second;
}

bool gpu_serves(std::string& reason) {
  const Gpu& gpu = find_gpu();
  reason = gpu.problem;
  if (gpu.driver == 0 || !gpu.problem.empty())
    return false;
  if (gpu_kernels_built())
    return true;
  reason = fmt::format("likely was built without CUDA for {}: install the CUDA Toolkit (nvcc)",
                       gpu.name);
  return false;
}

bool gpu_kernels_built() { return module_exists(gpu_module); }
bool emulated_kernels_built() { return module_exists(emulated_module); }

void serve_stream(void* (*of_current_device)()) { stream_of_current_device = of_current_device; }

void* current_stream() {
  require(stream_of_current_device,
          "device: cuda is not open, so there is no stream to launch on.");
  return stream_of_current_device();
}

std::optional<Cuda> opened_cuda() {
  const std::lock_guard lock(open_device_mutex);
  return open_device;
}

Cuda cuda_here() {
  std::string reason;
  return !std::getenv("LIKELY_EMULATE") && gpu_serves(reason) ? Cuda::gpu : Cuda::emulated;
}

const char* module_of(Cuda cuda) { return cuda == Cuda::gpu ? gpu_module : emulated_module; }

void open_cuda_unproven(const std::string& module) {
  const std::string problem = open_module(module);
  const bool on_gpu = module == gpu_module;
  require<UsageError>(problem.empty(), "device: cuda cannot be opened: {} ({}). {}.", module,
                      problem,
                      on_gpu ? "Build likely again on this machine"
                             : "./likely builds it where --device cuda is asked for; else build "
                               "the target likely_emulated");
  const std::lock_guard lock(open_device_mutex);
  open_device = on_gpu ? Cuda::gpu : Cuda::emulated;
}

Cuda open_cuda() {
  static std::mutex opening;  // apart: who proves kernels asks what is open
  const std::lock_guard lock(opening);
  if (const auto before = opened_cuda())
    return *before;
  const Cuda cuda = cuda_here();
  if (cuda == Cuda::emulated) {
    open_cuda_unproven(module_of(cuda));
    return cuda;
  }
  open_proven(own_contact(cuda));
  const std::lock_guard used(open_device_mutex);
  proven.insert(0);
  return cuda;
}

void use_gpu(int index) {
  {
    const std::lock_guard lock(open_device_mutex);
    if (proven.empty() || proven.contains(index))
      return;
  }
  const Gpu& gpu = find_gpu(index);
  require<UsageError>(gpu.problem.empty(), "device: cuda:{} cannot be used: {}. There are {} GPUs.",
                      index, gpu.problem, gpu.count);
  open_proven(own_contact(Cuda::gpu, gpu));
  const std::lock_guard lock(open_device_mutex);
  proven.insert(index);
}

}  // namespace likely::kernels
