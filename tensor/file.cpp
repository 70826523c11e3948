// Files in pieces, through the standard streams.
#include "tensor/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

namespace likely {
namespace {

// "it is a FIFO"; null where it is a regular file.
const char* kind_of(const struct stat& status) {
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      return nullptr;
    case S_IFDIR:
      return "it is a folder";
    case S_IFIFO:
      return "it is a FIFO";
    case S_IFSOCK:
      return "it is a socket";
    default:
      return "it is a device";
  }
}

}  // namespace

// Asked before it is opened, as opening a device may do something; and asked again after.
InputFile open_to_read(const std::string& from, const std::string& path) {
  const auto check = [&](bool good, const struct stat& status) {
    require<DataError>(good, "{}: cannot read {}: {}.", from, path, std::strerror(errno));
    if (const char* const kind = kind_of(status))
      fail<DataError>("{}: cannot read {}: {}. Put a regular file there.", from, path, kind);
  };
  struct stat status {};
  check(stat(path.c_str(), &status) == 0, status);
  const int opened = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  InputFile file(opened < 0 ? nullptr : fdopen(opened, "rb"), std::fclose);
  check(file && fstat(opened, &status) == 0, status);
  return file;
}

std::uint64_t size_of(const InputFile& file) {
  struct stat status {};
  return fstat(fileno(file.get()), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

std::string read_file(const std::string& path, std::int64_t most) {
  const InputFile file = open_to_read("read", path);
  std::string content;
  char block[1 << 16];
  while (const std::size_t count = std::fread(block, 1, sizeof block, file.get())) {
    content.append(block, count);
    require<DataError>(static_cast<std::int64_t>(content.size()) <= most,
                       "read: {} is longer than {} bytes.", path, most);
  }
  require<DataError>(!std::ferror(file.get()), "read: cannot read {}: {}.", path,
                     std::strerror(errno));
  return content;
}

bool read_line(const InputFile& file, std::size_t most, Line& line) {
  line = {};
  int c;
  while (!line.ended && (c = getc_unlocked(file.get())) != EOF) {
    ++line.bytes;
    line.ended = c == '\n';
    if (!line.ended && line.text.size() < most)
      line.text += static_cast<char>(c);
  }
  return line.bytes > 0;
}

ByteSource ByteSource::file(const std::string& format, const std::string& path) {
  InputFile file = open_to_read(format, path);
  const std::uint64_t size = size_of(file);
  const std::shared_ptr<std::FILE> stream = std::move(file);
  return {path, size, [stream](std::uint64_t offset, void* to, std::size_t bytes) {
            return fseeko(stream.get(), static_cast<off_t>(offset), SEEK_SET) == 0 &&
                   std::fread(to, 1, bytes, stream.get()) == bytes;
          }};
}

ByteSource ByteSource::memory(std::span<const std::byte> bytes, std::string name) {
  return {std::move(name), bytes.size(),
          [bytes](std::uint64_t offset, void* to, std::size_t count) {
            std::memcpy(to, bytes.data() + offset, count);
            return true;
          }};
}

void ByteSource::read(std::uint64_t offset, void* to, std::size_t bytes) const {
  const auto end = checked_sum(offset, bytes);
  require<DataError>(end && *end <= size_, "{}: {} bytes from {} on are wanted, it has {}.", name_,
                     bytes, offset, size_);
  if (bytes > 0)
    require<DataError>(read_(offset, to, bytes), "{}: {} bytes from {} on cannot be read.", name_,
                       bytes, offset);
}

std::vector<std::byte> bytes_of(const std::function<void(const ByteSink&)>& write) {
  std::vector<std::byte> result;
  write([&](const void* bytes, std::size_t count) {
    const auto* begin = static_cast<const std::byte*>(bytes);
    result.insert(result.end(), begin, begin + count);
  });
  return result;
}

void write_elements(const Tensor& tensor, const ByteSink& sink) {
  if (tensor.device() == Device::cpu && tensor.contiguous())
    return sink(tensor.raw(), tensor.bytes());
  std::vector<std::byte> values(tensor.bytes());
  tensor.copy_to_host(values.data());
  sink(values.data(), values.size());
}

void save_file(const std::string& path, const std::function<void(const ByteSink&)>& write) {
  const std::string partial = path + ".partial";
  std::remove(partial.c_str());  // of a crash; or a link that would lead the writing elsewhere
  std::ofstream stream(partial, std::ios::binary | std::ios::trunc);
  const auto check = [&](bool good) {
    require<SaveError>(good, "save: cannot write {}: {}.", path, std::strerror(errno));
  };
  check(stream.is_open());
  try {
    write([&](const void* bytes, std::size_t count) {
      check(stream.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(count))
                .good());
    });
    stream.close();
    check(stream.good() && std::rename(partial.c_str(), path.c_str()) == 0);
  } catch (...) {
    stream.close();
    std::remove(partial.c_str());
    throw;
  }
}

std::string cache_folder() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  if (cache && *cache)
    return std::string(cache) + "/likely";
  return std::string(home && *home ? home : ".") + "/.cache/likely";
}

}  // namespace likely
