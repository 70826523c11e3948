// Files for tests: IDX bytes, gzip, the published ones; and rows of a data set.
#pragma once
#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/random.h"
#include "tensor/error.h"
#include "tests/zoo/temporary_folder.h"
#include "zoo/run/png.h"

using Bytes = std::vector<std::uint8_t>;

inline std::vector<std::int64_t> rows_up_to(std::int64_t n) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

inline likely::Draw draw_of(std::uint64_t seed, std::uint64_t update) {
  return {likely::make_step_state({.seed = seed, .update = update}),
          likely::purpose_hash("test/data")};
}

inline Bytes idx(const std::vector<std::uint32_t>& shape, const Bytes& values, int type = 8) {
  Bytes bytes = {0, 0, static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(shape.size())};
  for (const std::uint32_t extent : shape)
    for (const int shift : {24, 16, 8, 0})
      bytes.push_back(static_cast<std::uint8_t>(extent >> shift));
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

inline Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes result(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<std::uint8_t*>(bytes.data());
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<unsigned>(result.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

// The folder with the real files, or null with a word on stdout.
inline const char* real_data() {
  const char* const directory = std::getenv("LIKELY_DATA");
  const bool small = std::getenv("LIKELY_TEST_SMALL");
  if (small)
    MESSAGE("skipped: the published files are long for a sanitizer");
  else if (!directory)
    MESSAGE("skipped: LIKELY_DATA names no folder with the published files");
  return small ? nullptr : directory;
}

// The message of the DataError that f throws; anything else fails the test.
template <class F>
std::string data_error(const F& f) {
  try {
    f();
  } catch (const likely::DataError& error) {
    return error.what();
  }
  return "no error";
}

// Forty pictures of 32 x 32 in the folder `pngs`.
inline void write_pictures(const likely::TemporaryFolder& folder) {
  std::filesystem::create_directory(folder / "pngs");
  std::vector<std::uint8_t> pixels(32 * 32 * 3);
  for (std::size_t file = 0; file < 40; ++file) {
    for (std::size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = static_cast<std::uint8_t>((i + file) * i % 251);
    likely::write_png(fmt::format("{}/pngs/{}.png", folder.path(), file),
                      likely::Tensor::of({1, 32, 32, 3}, pixels), {.columns = 1, .padding = 0});
  }
}
