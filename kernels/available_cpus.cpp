#include "kernels/available_cpus.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace likely::kernels {
namespace {

namespace fs = std::filesystem;
constexpr double unlimited = std::numeric_limits<double>::infinity();

// Where a hierarchy of cgroups can be seen: the group `group` of it lies at `folder`.
struct Mount {
  bool second;  // version 2 of cgroups
  fs::path group, folder;
};

// Whether a list with commas between, such as "rw,cpu,cpuacct", has a word.
bool has_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// mountinfo writes a space in a path as \040.
std::string unescaped(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (int code = 0; text[i] == '\\' && i + 3 < text.size() &&
                      std::from_chars(&text[i + 1], &text[i + 4], code, 8).ptr == &text[i + 4]) {
      result += static_cast<char>(code);
      i += 3;
    } else {
      result += text[i];
    }
  return result;
}

// The mounts that have limits of CPU time; without /proc those that there usually are.
std::vector<Mount> mounts(const fs::path& root) {
  std::ifstream file(root / "proc/self/mountinfo");
  if (!file)
    return {{true, "/", "/sys/fs/cgroup"},
            {false, "/", "/sys/fs/cgroup/cpu"},
            {false, "/", "/sys/fs/cgroup/cpu,cpuacct"}};
  std::vector<Mount> found;
  for (std::string line; std::getline(file, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos)
      continue;
    std::istringstream before(line), after(line.substr(dash + 3));
    std::string id, parent, device, group, folder, type, source, options;
    before >> id >> parent >> device >> group >> folder;
    after >> type >> source >> options;
    if (type == "cgroup2" || (type == "cgroup" && has_word(options, "cpu")))
      found.push_back({type == "cgroup2", unescaped(group), unescaped(folder)});
  }
  return found;
}

// This process's group in version 2 or in version 1's hierarchy of CPU time; "/" where none is
// told.
fs::path own_group(const fs::path& root, bool second) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "4:cpu,cpuacct:/a/b", "0::/a/b"
    const std::size_t first = line.find(':'), next = line.find(':', first + 1);
    if (first == std::string::npos || next == std::string::npos)
      continue;
    const std::string controllers = line.substr(first + 1, next - first - 1);
    if (second ? line.starts_with("0::") : has_word(controllers, "cpu"))
      return fs::path(line.substr(next + 1)).lexically_normal();
  }
  return "/";
}

// Two numbers of one file, or of two: time in every period. "max" and -1 are no limit.
double limit_of(const fs::path& folder, bool second) {
  double quota = 0, period = 0;
  if (second) {
    std::ifstream(folder / "cpu.max") >> quota >> period;
  } else {
    std::ifstream(folder / "cpu.cfs_quota_us") >> quota;
    std::ifstream(folder / "cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : unlimited;
}

int affine_cpus() {
  for (std::size_t cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    std::vector<unsigned long> mask(cpus / (8 * sizeof(unsigned long)));
    auto* const set = reinterpret_cast<cpu_set_t*>(mask.data());
    if (sched_getaffinity(0, cpus / 8, set) == 0)
      return CPU_COUNT_S(cpus / 8, set);
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

double cpu_quota(const fs::path& root) {
  double least = unlimited;
  for (const Mount& mount : mounts(root)) {
    // The part of the group's path below what is mounted; nothing where the group lies elsewhere.
    fs::path below = own_group(root, mount.second).lexically_relative(mount.group);
    if (below.empty() || *below.begin() == "..")
      below = ".";
    const fs::path top = root / mount.folder.relative_path();
    for (;; below = below.parent_path()) {
      least = std::min(least, limit_of(top / below, mount.second));
      if (below.empty() || below == ".")
        break;
    }
  }
  return least;
}

double available_cpus() { return std::min<double>(std::max(1, affine_cpus()), cpu_quota()); }

int threads_for(double cpus) { return static_cast<int>(std::max(1.0, std::round(cpus))); }

int default_threads() {
  const char* const named = std::getenv("OMP_NUM_THREADS");
  int count = 0;
  if (named && std::from_chars(named, named + std::strlen(named), count).ec == std::errc() &&
      count >= 1)
    return count;
  return threads_for(available_cpus());
}

}  // namespace likely::kernels
