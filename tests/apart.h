// A process of its own for a test's subject, in which signals may be raised and streams broken.
#pragma once
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace likely {

// What `work` returns there, or 1000 + the signal that ended it. On one thread only: OpenMP's
// others do not follow a fork.
inline int apart(const std::function<int()>& work) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    int result = 99;
    try {
      result = work();
    } catch (...) {
    }
    _exit(result);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// Ways in which a descriptor may be unable to take what is written.
struct BrokenStream {
  const char* name;
  const char* reason;  // what errno says of a write
  void (*make)(int descriptor);
};

inline void becomes(int descriptor, int file) {
  dup2(file, descriptor);
  close(file);
}

inline const std::vector<BrokenStream>& broken_streams() {
  static const std::vector<BrokenStream> all{
      {"closed", "Bad file descriptor", [](int descriptor) { close(descriptor); }},
      {"a full disk", "No space left on device",
       [](int descriptor) { becomes(descriptor, open("/dev/full", O_WRONLY)); }},
      {"a pipe without a reader", "Broken pipe",
       [](int descriptor) {
         int ends[2];
         if (pipe(ends) == 0)
           becomes(descriptor, ends[1]);
         close(ends[0]);
       }},
      {"a terminal that was closed", "Input/output error",
       [](int descriptor) {
         const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
         grantpt(terminal);
         unlockpt(terminal);
         becomes(descriptor, open(ptsname(terminal), O_RDWR | O_NOCTTY));
         close(terminal);
       }},
      {"open for reading only", "Bad file descriptor",
       [](int descriptor) { becomes(descriptor, open("/dev/null", O_RDONLY)); }},
  };
  return all;
}

}  // namespace likely
