// The machine and the build: what a run records of them, and what `doctor` says.
#pragma once
#include <filesystem>
#include <string>

#include "tensor/device.h"

namespace likely {

inline constexpr const char* version = "0.1";

std::string cpu_model();
std::string commit();           // of the source tree that the program lies in; empty where unknown
std::int64_t resident_bytes();  // of this process, now
std::int64_t peak_resident_bytes();  // since it began

// `auto` takes a GPU that can be used, and says on stderr why not where a driver lets expect one;
// `cuda` without one is emulated, which is said too. UsageError where that was not built.
Device device_named(const std::string& wanted);

std::string environment_json(Device device);
// `prove`: the proofs of kernels are repeated first.
std::string doctor(const std::filesystem::path& data_directory, bool prove = false);

// Floating-point operations a second of our fastest product on this machine, measured now (0.1 s).
double measured_peak_flops();

}  // namespace likely
