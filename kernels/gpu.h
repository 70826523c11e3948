// Which GPU there is, as its driver tells, and the opening of the device `cuda`: on that GPU, or
// emulated by the CPU.
#pragma once
#include <cstddef>
#include <optional>
#include <string>

namespace likely::kernels {

struct Gpu {
  std::string name;          // "NVIDIA H100 80GB HBM3"; empty where there is none
  int index = 0, count = 0;  // which one this is, of how many
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  std::size_t memory = 0, shared_memory = 0;  // bytes: of all, and that a block may opt in to
  int driver = 0;       // the CUDA version that the driver supports, 13000 for 13.0; 0: none
  std::string problem;  // why it cannot be used; empty where it can
};

// Asks the driver, which is opened by name and never linked: programs start without one. Any error
// means that no GPU can be used.
Gpu ask_driver(const char* library = "libcuda.so.1", int index = 0);
const Gpu& find_gpu(int index = 0);  // asked once

// How the device `cuda` works in this process.
enum class Cuda { gpu, emulated };

// Opens it: on the GPU where one can be used and likely was built for it, else emulated, which
// LIKELY_EMULATE (kernels/cuda.h) demands. UsageError where neither can be. Before a GPU is used,
// its kernels have been proven (kernels/first_contact.h): the first one's here, those of another
// one when its module says that it is used.
Cuda open_cuda();
void use_gpu(int index);
Cuda cuda_here();                   // how it would be opened
std::optional<Cuda> opened_cuda();  // without opening it

const char* module_of(Cuda cuda);                    // of its kernels
void open_cuda_unproven(const std::string& module);  // what proves them does

bool gpu_kernels_built();
bool emulated_kernels_built();

// The stream (a cudaStream_t) of the current device: the module of its kernels has it, and those of
// vendor libraries launch on it too.
void serve_stream(void* (*of_current_device)());
void* current_stream();

// Whether open_cuda() would give the GPU; else `reason` says why not, empty where there is no
// driver.
bool gpu_serves(std::string& reason);

}  // namespace likely::kernels
