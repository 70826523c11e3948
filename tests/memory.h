// How much memory, or time, something may take.
#pragma once
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace likely {

inline long peak_kibibytes() {
  std::ifstream lines("/proc/self/status");
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("VmHWM:"))
      return std::stol(line.substr(6));
  return 0;
}

// By how many MiB the peak grows while f runs, in a process of its own; -1 where that died, or took
// longer than `seconds`.
template <class F>
int peak_growth(const F& f, unsigned seconds = 60) {
  std::fflush(nullptr);
  int ends[2];
  if (pipe(ends) != 0)
    return -1;
  const pid_t child = fork();
  if (child == 0) {
    alarm(seconds);
    const long before = peak_kibibytes();
    f();
    const int grown = static_cast<int>((peak_kibibytes() - before) / 1024);
    _exit(write(ends[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
  }
  close(ends[1]);
  int grown = -1;
  if (read(ends[0], &grown, sizeof grown) != sizeof grown)
    grown = -1;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return grown;
}

// While alive: the process is killed where this takes longer, as on a FIFO that nobody writes to.
class Deadline {
 public:
  explicit Deadline(unsigned seconds = 60) { alarm(seconds); }
  Deadline(const Deadline&) = delete;
  ~Deadline() { alarm(0); }
};

}  // namespace likely
