#include "zoo/run/machine.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "kernels/available_cpus.h"
#include "kernels/choice.h"
#include "kernels/copy.h"
#include "kernels/cpu/isa.h"
#include "kernels/first_contact.h"
#include "kernels/gpu.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "tensor/streams.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/file_system.h"
#include "zoo/run/progress.h"

namespace likely {
namespace {

namespace fs = std::filesystem;

// The value after "name" and a colon in a file such as /proc/meminfo; empty where it is missing.
std::string field(const char* file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || !line.starts_with(name))
      continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::int64_t kibibytes(const char* file, const std::string& name) {
  std::istringstream text(field(file, name));
  std::int64_t value = 0;
  text >> value;
  return value * 1024;
}

const char* isa_name() {
  return kernels::isa() == kernels::Isa::v4 ? "x86-64-v4 (AVX-512)" : "x86-64-v3 (AVX2)";
}

std::string compiler() {
#ifdef __clang__
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string row(const char* name, const std::string& text) {
  return fmt::format("{:<12}{}\n", name, text);
}

// "2 cores", or "0.5 of 2 cores" where this process may use less.
std::string cores_text() {
  const double here = std::thread::hardware_concurrency(), ours = kernels::available_cpus();
  return ours < here ? fmt::format("{:.3g} of {} cores, as affinity and cgroups allow", ours, here)
                     : fmt::format("{} cores", ours);
}

// Whether there is anything to say of a GPU but that there is none.
bool has_gpu() { return kernels::find_gpu().driver != 0 || kernels::gpu_kernels_built(); }

std::string gpu_text() {
  const kernels::Gpu gpu = kernels::find_gpu();
  if (gpu.driver == 0)
    return "none: there is no NVIDIA driver. likely computes on the CPU";
  if (!gpu.problem.empty())
    return fmt::format("not used: {}. likely computes on the CPU", gpu.problem);
  std::string reason;
  const bool serves = kernels::gpu_serves(reason);
  return fmt::format("{}, compute capability {}.{}, {}, driver for CUDA {}.{}{}", gpu.name,
                     gpu.major, gpu.minor, bytes_text(static_cast<double>(gpu.memory)),
                     gpu.driver / 1000, gpu.driver % 1000 / 10,
                     serves ? "" : ". Not used: " + reason);
}

// Of the GPUs there are, or of the emulated one where its kernels were proven.
std::string proofs_text(bool prove) {
  const kernels::Cuda cuda = kernels::cuda_here();
  const bool gpu = cuda == kernels::Cuda::gpu;
  require<UsageError>(!prove || gpu || kernels::emulated_kernels_built(),
                      "doctor --prove: there is no GPU here, and the kernels that emulate one are "
                      "not built. Build the target likely_emulated.");
  std::vector<kernels::Contact> contacts;
  const auto add = [&](const kernels::Contact& contact) {
    if (std::none_of(contacts.begin(), contacts.end(), [&](const kernels::Contact& other) {
          return other.key == contact.key;  // of an equal GPU
        }))
      contacts.push_back(contact);
  };
  if (!gpu && kernels::emulated_kernels_built())
    add(kernels::own_contact(cuda));
  for (int i = 0; gpu && i < kernels::find_gpu().count; ++i)
    if (const kernels::Gpu& each = kernels::find_gpu(i); each.problem.empty()) {
      add(kernels::own_contact(cuda, each));
      for (const kernels::Contact& contact : kernels::vendor_contacts(each))
        add(contact);
    }
  std::string text;
  for (const kernels::Contact& contact : contacts) {
    const auto verdicts =
        prove ? kernels::prove_again(contact) : kernels::recorded_verdicts(contact);
    if (verdicts)
      text += row("proofs", kernels::report(contact, *verdicts));
    else if (gpu)
      text += row("proofs", fmt::format("of {}, on {}: when they are first used",
                                        contact.modules.back().file, contact.device));
  }
  return text;
}

std::string vendors_text(Device device) {
  std::string text;
  for (const kernels::VendorLibrary& library : kernels::vendor_libraries(device))
    text +=
        row("vendor", fmt::format("{} on {} by {}{}", library.family,
                                  device == Device::cpu ? "the CPU" : "a GPU", library.library,
                                  library.problem.empty()
                                      ? ""
                                      : fmt::format(": {}. {}", library.problem, library.install)));
  return text;
}

}  // namespace

std::string cpu_model() {
  const std::string model = field("/proc/cpuinfo", "model name");
  return model.empty() ? "unknown" : model;
}

std::string commit() {
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  while (!folder.empty() && folder != folder.root_path() && !fs::exists(folder / ".git", error))
    folder = folder.parent_path();
  fs::path git = folder / ".git";
  if (fs::is_regular_file(git, error)) {  // a worktree: "gitdir: <path>"
    const std::string line = first_line(git);
    git = line.starts_with("gitdir: ") ? fs::path(line.substr(8)) : fs::path();
  }
  const std::string head = first_line(git / "HEAD");
  if (!head.starts_with("ref: "))
    return head;
  const std::string reference = head.substr(5), common = first_line(git / "commondir");
  const fs::path shared = common.empty() ? git : git / common;
  if (const std::string loose = first_line(shared / reference); !loose.empty())
    return loose;
  std::ifstream packed(shared / "packed-refs");
  for (std::string line; std::getline(packed, line);)
    if (line.ends_with(" " + reference))
      return line.substr(0, line.find(' '));
  return "";
}

std::int64_t resident_bytes() { return kibibytes("/proc/self/status", "VmRSS"); }

std::int64_t peak_resident_bytes() { return kibibytes("/proc/self/status", "VmHWM"); }

std::string environment_json(Device device) {
  utsname system{};
  uname(&system);
  nlohmann::ordered_json json;
  json["likely"] = version;
  json["commit"] = commit();
  json["device"] = device.name();
  if (const auto cuda = kernels::opened_cuda())
    json["gpu"] = *cuda == kernels::Cuda::gpu ? kernels::find_gpu().name : "emulated by the CPU";
  json["cpu"] = cpu_model();
  json["instruction_set"] = isa_name();
  const double cores = kernels::available_cpus();
  const auto whole = static_cast<std::int64_t>(cores);
  json["cores"] =
      cores == static_cast<double>(whole) ? nlohmann::json(whole) : nlohmann::json(cores);
  json["threads"] = kernels::threads();
  json["memory_bytes"] = kibibytes("/proc/meminfo", "MemTotal");
  json["kernels"] = kernels::chosen_kernels();
  json["compiler"] = compiler();
  json["system"] = fmt::format("{} {}", system.sysname, system.release);
  if (kernels::chosen_kernels() != "own")  // opening the libraries costs time and memory
    for (const kernels::VendorLibrary& library : kernels::vendor_libraries(device))
      json["vendor"][library.family] = library.problem.empty() ? library.library : library.problem;
  return json.dump(2) + "\n";
}

std::string doctor(const fs::path& data_directory, bool prove) {
  std::string text =
      row("likely", fmt::format("{}, commit {}", version, commit().empty() ? "unknown" : commit()));
  text += row("compiler", compiler());
  text += row("CPU", fmt::format("{}, {}", cpu_model(), cores_text()));
  text += row("kernels", fmt::format("{}, {} threads", isa_name(), kernels::threads()));
  text += row("GPU", gpu_text());
  if (has_gpu())
    text +=
        row("CUDA", fmt::format("kernels for GPUs: {}; emulated by the CPU: {}",
                                kernels::gpu_kernels_built() ? "built" : "not built (needs nvcc)",
                                kernels::emulated_kernels_built()
                                    ? "built"
                                    : "built when --device cuda first asks for them"));
  text += proofs_text(prove);
  text +=
      row("memory",
          fmt::format("{}, {} free",
                      bytes_text(static_cast<double>(kibibytes("/proc/meminfo", "MemTotal"))),
                      bytes_text(static_cast<double>(kibibytes("/proc/meminfo", "MemAvailable")))));
  struct statvfs disk {};
  if (statvfs(".", &disk) == 0)
    text +=
        row("disk", fmt::format("{} free here", bytes_text(static_cast<double>(disk.f_bavail) *
                                                           static_cast<double>(disk.f_frsize))));
  for (const Device device : {Device::cpu, Device::cuda})
    if (device == Device::cpu || has_gpu())
      text += vendors_text(device);
  return text + fmt::format("\ndata in {}\n", data_directory.string()) +
         list_data_sets(data_directory);
}

Device device_named(const std::string& wanted) {
  std::string reason, notice;
  if (wanted == "cpu")
    return Device::cpu;
  const bool on_cpu = wanted == "auto" && !kernels::gpu_serves(reason);
  if (on_cpu && !reason.empty())
    notice = fmt::format("device: using the CPU: {}.\n", reason);
  if (!on_cpu && kernels::open_cuda() == kernels::Cuda::emulated)
    notice =
        "device: cuda is emulated by the CPU, which is slow: for trying kernels, not training.\n";
  static std::once_flag said;
  std::call_once(said, [&] { to_stderr("{}", notice); });
  return on_cpu ? Device::cpu : Device::cuda;
}

double measured_peak_flops() {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t n = 512;
  const Tensor a = kernels::full({n, n}, 0.5), b = kernels::full({n, n}, 0.25);
  double best = 0;
  const auto end = Clock::now() + std::chrono::milliseconds(100);
  while (Clock::now() < end) {
    const auto begin = Clock::now();
    kernels::matmul(a, b);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::max(best, 2.0 * n * n * n / seconds);
  }
  return best;
}

}  // namespace likely
