// Files: bytes read from a file or from memory in checked pieces, and files written whole or not at
// all.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace likely {

// A file open for reading. Only regular files are: a FIFO or a device in the place of one might
// never end, and is refused by name. Every DataError begins with `from`, a format's name or "read".
using InputFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
InputFile open_to_read(const std::string& from, const std::string& path);
std::uint64_t size_of(const InputFile& file);  // bytes

// The content of a file; DataError where it cannot be read or is longer than `most`.
std::string read_file(const std::string& path, std::int64_t most = 1 << 26);

struct Line {
  std::string text;        // without its end; the beginning of one that is too long
  std::int64_t bytes = 0;  // in the file, with its end
  bool ended = false;      // by a newline
};
// The next line, of which at most `most` bytes are kept. False at the end of the file.
bool read_line(const InputFile& file, std::size_t most, Line& line);

// What a reader of a format reads from.
class ByteSource {
 public:
  // DataError, beginning with the format's name, where the file cannot be read.
  static ByteSource file(const std::string& format, const std::string& path);
  // The bytes must outlive the source; `name` stands for the path in messages.
  static ByteSource memory(std::span<const std::byte> bytes, std::string name);

  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }

  // Throws DataError where that piece does not lie within the size, or the file has shrunk.
  void read(std::uint64_t offset, void* to, std::size_t bytes) const;

 private:
  using Read = std::function<bool(std::uint64_t offset, void* to, std::size_t bytes)>;
  ByteSource(std::string name, std::uint64_t size, Read read)
      : name_(std::move(name)), size_(size), read_(std::move(read)) {}

  std::string name_;
  std::uint64_t size_;
  Read read_;
};

// Where a writer of a format puts its bytes, in order.
using ByteSink = std::function<void(const void* bytes, std::size_t count)>;

// What `write` puts into its sink.
std::vector<std::byte> bytes_of(const std::function<void(const ByteSink&)>& write);

// All elements in row-major order.
void write_elements(const Tensor& tensor, const ByteSink& sink);

// What `write` puts into its sink becomes the file, all of it or nothing: written beside `path`,
// then renamed. SaveError where that fails. (A run's checkpoints are also synced:
// zoo/run/file_system.h.)
void save_file(const std::string& path, const std::function<void(const ByteSink&)>& write);

// Where what can be made again is kept for this user: $XDG_CACHE_HOME/likely or ~/.cache/likely.
std::string cache_folder();

}  // namespace likely
