// FileSystem: the few calls through which a run writes, so that a test can make any of them fail.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "tensor/file.h"

namespace likely {

// The system calls of the same meaning: a negative result is a failure and errno says why.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual int create(const std::string& path);       // for writing, in place of an old one
  virtual int append(const std::string& path);       // for writing at the end, made where missing
  virtual int open_folder(const std::string& path);  // to sync it
  // To hold a lock on it and say who does; `flags` may make it. A link is not followed.
  virtual int open_lock(const std::string& path, int flags);
  virtual int lock(int file);  // by flock, which the system frees with the process; never waits
  virtual ssize_t write(int file, const void* data, std::size_t bytes);
  virtual int sync(int file);
  virtual int truncate(int file, std::int64_t bytes);
  virtual int close(int file);
  virtual int make_folder(const std::string& path);  // no failure where it is already
  virtual int rename(const std::string& from, const std::string& to);
  virtual int link(const std::string& target, const std::string& path);  // symbolic
  virtual int remove(const std::string& path);  // with all it holds; none is no failure
  virtual std::int64_t free_bytes(const std::string& path);  // on the disk of `path`
};

FileSystem& real_file_system();

// A file being written: every write is checked, and finish() syncs and closes it. A file that was
// not finished is only closed.
class OutputFile {
 public:
  OutputFile(FileSystem& files, std::string path);  // throws SaveError, as all here do
  OutputFile(const OutputFile&) = delete;
  ~OutputFile();
  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void finish();
  std::int64_t bytes() const { return bytes_; }
  std::uint32_t crc32() const { return crc32_; }

 private:
  FileSystem& files_;
  std::string path_;
  int file_;
  std::int64_t bytes_ = 0;
  std::uint32_t crc32_ = 0;
};

// Throws SaveError with errno's words: "save: cannot rename a to b: No space left on device."
[[noreturn]] void fail_to_save(const std::string& what);

// All bytes to an open file, which `path` names in a message.
void write_whole(FileSystem& files, int file, const std::string& path, const void* data,
                 std::size_t bytes);

void sync_folder(FileSystem& files, const std::string& folder);

// The whole file or none of it: written next to `path`, synced, renamed over it. Where that fails,
// what was there is as before and nothing new is left.
using FileContent = std::function<void(const ByteSink&)>;
void replace_file(FileSystem& files, const std::string& path, const FileContent& content);
void replace_file(FileSystem& files, const std::string& path, std::string_view content);
std::string partial_name(const std::string& path);  // of the file next to it, in this process

// Of a file of the system's, such as those in /proc, without its end; empty where there is none.
std::string first_line(const std::string& path);

// Size and checksum of a file, read in pieces.
struct FileSum {
  std::int64_t bytes = 0;
  std::uint32_t crc32 = 0;
};
FileSum sum_of(const std::string& path);

}  // namespace likely
