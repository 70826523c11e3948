#include "zoo/run/file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace likely {

// Never through a link, a FIFO or a device that lies there: a run may come from anywhere.
int FileSystem::create(const std::string& path) {
  ::unlink(path.c_str());
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
}

int FileSystem::append(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0644);
}

int FileSystem::open_folder(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int FileSystem::open_lock(const std::string& path, int flags) {
  return ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0644);
}

int FileSystem::lock(int file) { return ::flock(file, LOCK_EX | LOCK_NB); }

ssize_t FileSystem::write(int file, const void* data, std::size_t bytes) {
  return ::write(file, data, bytes);
}

int FileSystem::sync(int file) { return ::fsync(file); }

int FileSystem::truncate(int file, std::int64_t bytes) { return ::ftruncate(file, bytes); }

int FileSystem::close(int file) { return ::close(file); }

int FileSystem::make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0)
    return 0;
  if (errno != EEXIST)
    return -1;
  return std::filesystem::is_directory(path) ? 0 : (errno = ENOTDIR, -1);
}

int FileSystem::rename(const std::string& from, const std::string& to) {
  return ::rename(from.c_str(), to.c_str());
}

int FileSystem::link(const std::string& target, const std::string& path) {
  return ::symlink(target.c_str(), path.c_str());
}

int FileSystem::remove(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error)
    errno = error.value();
  return error ? -1 : 0;
}

std::int64_t FileSystem::free_bytes(const std::string& path) {
  struct statvfs disk;
  if (::statvfs(path.c_str(), &disk) != 0)
    return -1;
  return static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
}

FileSystem& real_file_system() {
  static FileSystem files;
  return files;
}

void fail_to_save(const std::string& what) {
  fail<SaveError>("save: cannot {}: {}.", what, std::strerror(errno));
}

void write_whole(FileSystem& files, int file, const std::string& path, const void* data,
                 std::size_t bytes) {
  auto* next = static_cast<const unsigned char*>(data);
  while (bytes > 0) {
    const ssize_t written = files.write(file, next, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      fail_to_save("write " + path);
    next += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

OutputFile::OutputFile(FileSystem& files, std::string path)
    : files_(files), path_(std::move(path)), file_(files.create(path_)) {
  if (file_ < 0)
    fail_to_save("create " + path_);
}

OutputFile::~OutputFile() {
  if (file_ >= 0)
    files_.close(file_);
}

void OutputFile::write(const void* data, std::size_t bytes) {
  write_whole(files_, file_, path_, data, bytes);
  crc32_ =
      static_cast<std::uint32_t>(::crc32_z(crc32_, static_cast<const unsigned char*>(data), bytes));
  bytes_ += static_cast<std::int64_t>(bytes);
}

// After a failed fsync the kernel may have dropped the pages and forgotten it: the file is given up
// and never synced again.
void OutputFile::finish() {
  if (files_.sync(file_) != 0)
    fail_to_save("sync " + path_);
  const int file = std::exchange(file_, -1);
  if (files_.close(file) != 0)
    fail_to_save("close " + path_);
}

void sync_folder(FileSystem& files, const std::string& folder) {
  const int handle = files.open_folder(folder);
  if (handle < 0)
    fail_to_save("open " + folder);
  int synced = files.sync(handle);
  const int reason = errno;
  if (synced != 0 && (reason == EINVAL || reason == ENOTSUP || reason == EOPNOTSUPP))
    synced = 0;  // some file systems cannot sync folders, and need not
  const int closed = files.close(handle);
  if (synced != 0)
    errno = reason;
  if (synced != 0 || closed != 0)
    fail_to_save("sync " + folder);
}

std::string partial_name(const std::string& path) {
  return fmt::format("{}.{}.partial", path, ::getpid());
}

void replace_file(FileSystem& files, const std::string& path, const FileContent& content) {
  const std::string partial = partial_name(path);
  try {
    OutputFile file(files, partial);
    content([&](const void* data, std::size_t bytes) { file.write(data, bytes); });
    file.finish();
    if (files.rename(partial, path) != 0)
      fail_to_save("rename " + partial + " to " + path);
  } catch (...) {
    files.remove(partial);
    throw;
  }
  const auto folder = std::filesystem::path(path).parent_path();
  sync_folder(files, folder.empty() ? "." : folder.string());
}

void replace_file(FileSystem& files, const std::string& path, std::string_view content) {
  replace_file(files, path, [&](const ByteSink& sink) { sink(content.data(), content.size()); });
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

FileSum sum_of(const std::string& path) {
  const InputFile file = open_to_read("read", path);
  FileSum sum;
  unsigned char block[1 << 16];
  while (const std::size_t count = std::fread(block, 1, sizeof block, file.get())) {
    sum.crc32 = static_cast<std::uint32_t>(::crc32_z(sum.crc32, block, count));
    sum.bytes += static_cast<std::int64_t>(count);
  }
  require<DataError>(!std::ferror(file.get()), "read: cannot read {}: {}.", path,
                     std::strerror(errno));
  return sum;
}

}  // namespace likely
