// Files in pieces, through the standard streams.
#include "tensor/file.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

namespace likely {

ByteSource ByteSource::file(const std::string& format, const std::string& path) {
  std::error_code problem;
  const std::uint64_t size = std::filesystem::file_size(path, problem);
  require<DataError>(!problem, "{}: cannot read {}: {}.", format, path, problem.message());
  const auto stream = std::make_shared<std::ifstream>(path, std::ios::binary);
  require<DataError>(stream->is_open(), "{}: cannot read {}: {}.", format, path,
                     std::strerror(errno));
  return {path, size, [stream](std::uint64_t offset, void* to, std::size_t bytes) {
            stream->clear();
            stream->seekg(static_cast<std::streamoff>(offset));
            stream->read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
            return stream->good();
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
