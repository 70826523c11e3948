// Keys, the record, and one line for the user.
#include "kernels/first_contact.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "kernels/cuda.h"
#include "kernels/module.h"
#include "kernels/verdict_json.h"
#include "tensor/file.h"
#include "tensor/json.h"
#include "tensor/streams.h"

namespace likely::kernels {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// FNV-1a, eight bytes at a time: modules have tens of megabytes.
std::uint64_t hash_of(const std::string& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 32;
  }
  return hash;
}

constexpr std::int64_t largest_module = 1 << 30, largest_record = 1 << 24;

// Empty where there is no such file, or none that can be read.
std::string content_of(const fs::path& path, std::int64_t most) {
  try {
    return read_file(path, most);
  } catch (const DataError&) {
    return "";
  }
}

std::string build_of(const std::string& module) {
  return fmt::format("build {:016x}",
                     hash_of(content_of(path_beside_library(module), largest_module)));
}

std::string key_of(const Gpu& gpu) {
  std::string driver =
      content_of("/sys/module/nvidia/version", 4096);  // 580.95.05, where it can be seen
  std::erase(driver, '\n');
  return fmt::format(
      "{}, compute capability {}.{}, {} multiprocessors, {} bytes of shared memory, driver {} for "
      "CUDA {}",
      gpu.name, gpu.major, gpu.minor, gpu.multiprocessors, gpu.shared_memory, driver, gpu.driver);
}

fs::path record_of(const Contact& contact) {
  return fs::path(cache_folder()) / "proofs" / fmt::format("{:016x}.json", hash_of(contact.key));
}

// One process proves, others wait for its record; where there can be none, each proves for itself.
class Turn {
 public:
  explicit Turn(const fs::path& record) {
    std::error_code error;
    fs::create_directories(record.parent_path(), error);
    file_ = ::open((record.string() + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    if (file_ >= 0)
      flock(file_, LOCK_EX);
  }
  Turn(const Turn&) = delete;
  ~Turn() {
    if (file_ >= 0)
      close(file_);
  }

 private:
  int file_;
};

struct Count {
  std::size_t all, failed;  // kernels
};
Count count_of(const std::vector<Verdict>& verdicts) {
  std::set<std::string> all, failed;
  for (const Verdict& verdict : verdicts) {
    all.insert(verdict.kernel);
    if (!verdict.passed())
      failed.insert(verdict.kernel);
  }
  return {all.size(), failed.size()};
}

std::vector<Verdict> prove_now(const Contact& contact) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const std::vector<Verdict> verdicts =
      prove_apart(contact.modules, contact.index, contact.silence, [&](std::size_t kernels) {
        to_stderr("proving {} kernels on {} (new driver or build): ", kernels, contact.device);
      });
  const Count count = count_of(verdicts);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  to_stderr(
      "{} passed, {}{:.1f} s\n", count.all - count.failed,
      count.failed ? fmt::format("{} FAILED (./likely doctor names them), ", count.failed) : "",
      seconds);
  record_verdicts(contact, verdicts);
  return verdicts;
}

}  // namespace

Contact own_contact(Cuda cuda, const Gpu& gpu) {
  const std::string module = module_of(cuda), build = build_of(module);
  const std::string emulated = fmt::format("the CPU, which emulates {}", emulation().profile);
  if (cuda == Cuda::emulated)
    return {emulated, fmt::format("{}, {}", emulated, build), {{module, ""}}};
  return {.device = gpu.name,
          .key = fmt::format("{}, {}", key_of(gpu), build),
          .modules = {{module, ""}},
          .index = gpu.index};
}

Contact vendor_contact(const Module& module, std::size_t version, const Gpu& gpu) {
  return {.device = gpu.name,
          .key = fmt::format("{}, {} {}, {}", key_of(gpu), module.library, version,
                             build_of(module.file)),
          .modules = {{module_of(Cuda::gpu), ""}, module},
          .index = gpu.index};
}

std::optional<std::vector<Verdict>> recorded_verdicts(const Contact& contact) {
  const std::string text = content_of(record_of(contact), largest_record);
  if (text.empty())
    return std::nullopt;
  try {
    const ordered_json json = parse_json(text, "proofs: a record");
    if (json.at("key") != contact.key)
      return std::nullopt;
    std::vector<Verdict> verdicts;
    for (const ordered_json& each : json.at("verdicts"))
      verdicts.push_back(verdict_from(each));
    return verdicts;
  } catch (const std::exception&) {  // none of ours: it is written again
    return std::nullopt;
  }
}

void record_verdicts(const Contact& contact, const std::vector<Verdict>& verdicts) {
  ordered_json json{{"key", contact.key}, {"verdicts", ordered_json::array()}};
  for (const Verdict& verdict : verdicts)
    json["verdicts"].push_back(to_json(verdict));
  const std::string text = json.dump(1);
  std::error_code error;
  fs::create_directories(record_of(contact).parent_path(), error);
  try {
    save_file(record_of(contact), [&](const ByteSink& sink) { sink(text.data(), text.size()); });
  } catch (const SaveError& error) {
    to_stderr("proofs: {} The kernels will be proven again next time.\n", error.what());
  }
}

std::vector<Verdict> verdicts_of(const Contact& contact) {
  if (auto known = recorded_verdicts(contact))
    return *known;
  const Turn turn(record_of(contact));
  if (auto known = recorded_verdicts(contact))
    return *known;
  return prove_now(contact);
}

std::vector<Verdict> prove_again(const Contact& contact) {
  const Turn turn(record_of(contact));
  return prove_now(contact);
}

std::string report(const Contact& contact, const std::vector<Verdict>& verdicts) {
  const Count count = count_of(verdicts);
  std::string text = fmt::format("{} of {} kernels passed on {}", count.all - count.failed,
                                 count.all, contact.device);
  for (const Verdict& verdict : verdicts)
    if (!verdict.passed())
      text += "\n  " + describe(verdict);
  return text;
}

void refuse_failed(const Contact& contact, const std::vector<Verdict>& verdicts) {
  for (const Variant* variant : all_variants())
    for (const Verdict& verdict : verdicts)
      if (!verdict.passed() && verdict.kernel == variant->name() && variant->usable())
        variant->refuse(fmt::format("on {}, {}", contact.device, describe(verdict)));
}

void open_proven(const Contact& contact) {
  const std::vector<Verdict> verdicts = verdicts_of(contact);
  for (const Verdict& verdict : verdicts)
    require<UsageError>(verdict.passed() || verdict.kernel.find("/plain") == std::string::npos,
                        "device: cuda:{}, {}, is refused: a kernel failed its proof that stands in "
                        "for others: {}. Take --device cpu; a new driver or build is tried "
                        "anew, and ./likely doctor --prove tries again.",
                        contact.index, contact.device, describe(verdict));
  open_cuda_unproven(contact.modules[0].file);
  refuse_failed(contact, verdicts);
}

}  // namespace likely::kernels
