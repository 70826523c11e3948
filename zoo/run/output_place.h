// OutputPlace: a file that the user names for a result, checked before the work that makes it.
#pragma once
#include <initializer_list>

#include "zoo/run/file_system.h"

namespace likely {

// UsageError where no file `name` can be made in `folder`: it is missing, is no folder, or refuses.
// To know, one is made and removed again. `what` begins the message: "evaluate: --json out/e.json".
void require_writable(const std::string& what, const std::string& folder,
                      FileSystem& files = real_file_system(), const std::string& name = ".likely");

// Written whole or not at all. A standard stream (/dev/stdout, /dev/fd/3) or a character device
// (/dev/null) is written as it stands.
class OutputPlace {
 public:
  // `option` begins its messages: "evaluate: --json". UsageError where nothing could be written at
  // `path`: then it names what is in the way.
  OutputPlace(const std::string& option, std::string path, FileSystem& files = real_file_system());

  const std::string& path() const { return path_; }
  void write(const FileContent& content) const;  // throws SaveError
  void write(std::string_view content) const;

 private:
  enum class Kind { file, device, descriptor };

  std::string path_;
  FileSystem& files_;
  Kind kind_ = Kind::file;
  int descriptor_ = -1;
};

// Does all, whatever fails on the way; then throws a SaveError of all that could not be written.
void write_each(std::initializer_list<std::function<void()>> writes);

}  // namespace likely
