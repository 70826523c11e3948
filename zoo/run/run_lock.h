// RunLock: one process at a time writes a run.
#pragma once
#include <string>

#include "zoo/run/file_system.h"

namespace likely {

// While alive, this process alone writes the run. The system holds the lock on the file
// `likely.lock` in the run's folder (flock) and frees it when the process ends, however it ends;
// the file's content says who holds it. Where the file system has no such locks, the content alone
// decides.
class RunLock {
 public:
  // UsageError where another process holds it, naming that one's process and host; `verb` says
  // what this one wants to do.
  RunLock(const std::string& run, const std::string& verb, FileSystem& files = real_file_system());
  RunLock(const RunLock&) = delete;
  ~RunLock();

  // The same UsageError where another process holds the lock; changes nothing.
  static void require_free(const std::string& run, const std::string& verb,
                           FileSystem& files = real_file_system());

  static constexpr const char* file_name = "likely.lock";

 private:
  FileSystem& files_;
  std::string path_;
  int file_ = -1;
};

}  // namespace likely
