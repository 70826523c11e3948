// Raw and gzip files behind one read.
#include "zoo/data/uncompressed_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace likely {

UncompressedFile::UncompressedFile(std::filesystem::path file)
    : file_(std::move(file)), stream_(open_to_read("read", file_)), size_(size_of(stream_)) {
  std::uint8_t start[2];
  gzip_ = read_raw(start, 2) == 2 && start[0] == 0x1f && start[1] == 0x8b;
  std::rewind(stream_.get());
  if (gzip_) {
    compressed_.resize(1 << 16);
    require<OutOfMemory>(inflateInit2(&zlib_, 15 + 16) == Z_OK,
                         "read: no memory to decompress {}. Free some.", file_.string());
  }
}

UncompressedFile::~UncompressedFile() {
  if (gzip_)
    inflateEnd(&zlib_);
}

// Deflate's densest code is 258 bytes in 2 bits.
std::uint64_t UncompressedFile::most() const { return gzip_ ? 1032 * size_ : size_; }

std::size_t UncompressedFile::read(std::uint8_t* to, std::size_t n) {
  return gzip_ ? inflate_into(to, n) : read_raw(to, n);
}

std::size_t UncompressedFile::read_raw(std::uint8_t* to, std::size_t n) {
  const std::size_t got = std::fread(to, 1, n, stream_.get());
  require<DataError>(!std::ferror(stream_.get()), "read: {} cannot be read: {}. Check the disk.",
                     file_.string(), std::strerror(errno));
  return got;
}

std::size_t UncompressedFile::inflate_into(std::uint8_t* to, std::size_t n) {
  std::size_t done = 0;
  while (done < n && !finished_) {
    if (zlib_.avail_in == 0) {
      zlib_.next_in = compressed_.data();
      zlib_.avail_in = static_cast<unsigned>(read_raw(compressed_.data(), compressed_.size()));
      require<DataError>(
          zlib_.avail_in > 0,
          "gzip: {} ends inside its compressed data, after {} bytes. Fetch it again.",
          file_.string(), size_);
    }
    const std::size_t room = std::min<std::size_t>(n - done, 1u << 30);
    zlib_.next_out = to + done;
    zlib_.avail_out = static_cast<unsigned>(room);
    const int status = inflate(&zlib_, Z_NO_FLUSH);
    done += room - zlib_.avail_out;
    require<DataError>(status == Z_OK || status == Z_STREAM_END,
                       "gzip: {} is damaged ({}). Fetch it again.", file_.string(),
                       zlib_.msg ? zlib_.msg : "the stream cannot be continued");
    finished_ = status == Z_STREAM_END;
  }
  if (finished_) {
    std::uint8_t more;
    require<DataError>(zlib_.avail_in == 0 && read_raw(&more, 1) == 0,
                       "gzip: {} goes on after its compressed data. Fetch it again.",
                       file_.string());
  }
  return done;
}

}  // namespace likely
