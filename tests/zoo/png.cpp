// PNG grids, decoded again with libpng.
#include "zoo/run/png.h"

#include <doctest/doctest.h>
#include <png.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

using namespace likely;

namespace {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("likely-png-{}", getpid());
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

struct Decoded {
  png_uint_32 width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

Decoded decode(const std::filesystem::path& path, png_uint_32 format) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_file(&image, path.c_str()));
  CHECK(image.format == format);
  Decoded result{image.width, image.height, std::vector<std::uint8_t>(PNG_IMAGE_SIZE(image))};
  REQUIRE(png_image_finish_read(&image, nullptr, result.pixels.data(), 0, nullptr));
  return result;
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("png: a grey grid holds the images at their places and the padding's colour") {
  const Folder folder;
  const std::vector<std::uint8_t> values = {1,  2,  3,  4,  5,  6,  7,  8,  9,
                                            10, 11, 12, 13, 14, 15, 16, 17, 18};
  const auto path = folder.path / "grid.png";
  write_png(path, Tensor::of(Shape{3, 2, 3, 1}, values),
            {.columns = 2, .padding = 1, .colour = 99});
  const Decoded grid = decode(path, PNG_FORMAT_GRAY);
  CHECK(grid.width == 9);
  CHECK(grid.height == 7);
  const std::vector<std::uint8_t> expected = {99, 99, 99, 99, 99, 99, 99, 99, 99,  //
                                              99, 1,  2,  3,  99, 7,  8,  9,  99,  //
                                              99, 4,  5,  6,  99, 10, 11, 12, 99,  //
                                              99, 99, 99, 99, 99, 99, 99, 99, 99,  //
                                              99, 13, 14, 15, 99, 99, 99, 99, 99,  //
                                              99, 16, 17, 18, 99, 99, 99, 99, 99,  //
                                              99, 99, 99, 99, 99, 99, 99, 99, 99};
  CHECK(grid.pixels == expected);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("png: colour is kept, and the same images give the same bytes") {
  const Folder folder;
  const Tensor images =
      Tensor::of(Shape{1, 1, 2, 3}, std::vector<std::uint8_t>{10, 20, 30, 40, 50, 60});
  write_png(folder.path / "a.png", images, {.columns = 8, .padding = 0});
  write_png(folder.path / "b.png", images, {.columns = 8, .padding = 0});
  const Decoded grid = decode(folder.path / "a.png", PNG_FORMAT_RGB);
  CHECK(grid.pixels == images.to_vector<std::uint8_t>());
  CHECK(content(folder.path / "a.png") == content(folder.path / "b.png"));
}

TEST_CASE("png: floats become the nearest byte") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values = {0, 1, 0.5f, 0.002f, 0.0019f, -3, 7, nan};
  const Tensor bytes = to_bytes(Tensor::of(Shape{8}, values));
  CHECK(bytes.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{0, 255, 128, 1, 0, 0, 255, 0});
}

TEST_CASE("png: what cannot be written is named and leaves nothing behind") {
  const Folder folder;
  const Tensor images = Tensor::of(Shape{1, 1, 1, 1}, std::vector<std::uint8_t>{0});
  const std::string missing = (folder.path / "missing" / "a.png").string();
  CHECK_THROWS_WITH_AS(write_png(missing, images),
                       fmt::format("save: cannot create {}.{}.partial: No such file or directory.",
                                   missing, getpid())
                           .c_str(),
                       SaveError);
  const auto occupied = folder.path / "folder.png";
  std::filesystem::create_directories(occupied / "inside");
  CHECK_THROWS_AS(write_png(occupied, images), SaveError);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
  CHECK_THROWS_WITH_AS(
      write_png(folder.path / "b.png", to_bytes(Tensor::of(Shape{2}, std::vector<float>{0, 1}))),
      "png: [2] of type u8 are no images: contiguous u8 [n, height, width, 1 or "
      "3]. Convert them with to_bytes.",
      Error);
}

TEST_CASE("png: more rows than a PNG can have are refused by number") {
  CHECK_NOTHROW(require_fits_png("sample: --count", 8 * 33333, {28, 28, 1}));
  CHECK_THROWS_WITH_AS(
      require_fits_png("sample: --count", 8 * 33333 + 1, {28, 28, 1}),
      "sample: --count: 266665 images are a picture of 242 x 1000022 pixels, and a "
      "PNG has at most 1000000 a side. Take at most 266664.",
      UsageError);
}
