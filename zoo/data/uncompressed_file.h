// UncompressedFile: the bytes of a file, decompressed where it is gzip, in order and once.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "tensor/file.h"

namespace likely {

class UncompressedFile {
 public:
  explicit UncompressedFile(std::filesystem::path file);
  ~UncompressedFile();
  UncompressedFile(const UncompressedFile&) = delete;

  // Up to n bytes; fewer only at the end. A damaged gzip stream throws: its checksum and length
  // are known to be right once 0 was returned.
  std::size_t read(std::uint8_t* to, std::size_t n);
  std::uint64_t most() const;  // no file of this size has more uncompressed bytes
  const std::filesystem::path& file() const { return file_; }

 private:
  std::size_t read_raw(std::uint8_t* to, std::size_t n);
  std::size_t inflate_into(std::uint8_t* to, std::size_t n);

  std::filesystem::path file_;
  InputFile stream_;
  std::uint64_t size_;  // of the file, bytes
  bool gzip_ = false, finished_ = false;
  std::vector<std::uint8_t> compressed_;
  z_stream zlib_{};
};

}  // namespace likely
