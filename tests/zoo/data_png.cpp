// A folder of PNG files: every kind is read, hostile ones are named.
#include <png.h>

#include <cmath>

#include "tests/zoo/data_files.h"
#include "zoo/data/png_folder.h"
#include "zoo/run/png.h"

using namespace likely;

namespace {

// Writes through libpng's simple interface, in one of its formats.
std::string write(const TemporaryFolder& folder, const std::string& name, std::uint32_t width,
                  std::uint32_t height, std::uint32_t format, const void* pixels,
                  const void* colours = nullptr, int colour_count = 0) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  image.colormap_entries = static_cast<png_uint_32>(colour_count);
  const std::filesystem::path path = folder / name;
  std::filesystem::create_directories(path.parent_path());
  REQUIRE(png_image_write_to_file(&image, path.c_str(), 0, pixels, 0, colours));
  return path;
}

std::vector<std::uint8_t> read(const std::string& path) {
  return read_png(path).to_vector<std::uint8_t>();
}

// The signature and a header that claims so many pixels of RGB, then nothing.
Bytes claims(std::uint32_t width, std::uint32_t height) {
  Bytes chunk = {'I', 'H', 'D', 'R'};
  for (const std::uint32_t extent : {width, height})
    for (const int shift : {24, 16, 8, 0})
      chunk.push_back(static_cast<std::uint8_t>(extent >> shift));
  chunk.insert(chunk.end(), {8, 2, 0, 0, 0});
  Bytes bytes = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13};
  const auto sum =
      static_cast<std::uint32_t>(crc32(0, chunk.data(), static_cast<unsigned>(chunk.size())));
  bytes.insert(bytes.end(), chunk.begin(), chunk.end());
  for (const int shift : {24, 16, 8, 0})
    bytes.push_back(static_cast<std::uint8_t>(sum >> shift));
  return bytes;
}

}  // namespace

TEST_CASE("png files: grey, colour, palette and transparency become RGB on white") {
  const TemporaryFolder folder;
  const std::uint8_t grey[] = {10, 200};
  CHECK(read(write(folder, "grey.png", 2, 1, PNG_FORMAT_GRAY, grey)) ==
        std::vector<std::uint8_t>{10, 10, 10, 200, 200, 200});
  const std::uint8_t rgb[] = {1, 2, 3, 4, 5, 6};
  CHECK(read(write(folder, "rgb.png", 1, 2, PNG_FORMAT_RGB, rgb)) ==
        std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  const std::uint8_t rgba[] = {10, 20, 30, 255, 0, 100, 200, 0, 0, 0, 0, 51};
  CHECK(read(write(folder, "rgba.png", 3, 1, PNG_FORMAT_RGBA, rgba)) ==
        std::vector<std::uint8_t>{10, 20, 30, 255, 255, 255, 204, 204, 204});
  const std::uint8_t map[] = {9, 8, 7, 200, 100, 50}, places[] = {1, 0, 1};
  CHECK(read(write(folder, "palette.png", 3, 1, PNG_FORMAT_RGB_COLORMAP, places, map, 2)) ==
        std::vector<std::uint8_t>{200, 100, 50, 9, 8, 7, 200, 100, 50});
  const std::uint16_t deep[] = {0, 32768, 65535};  // linear light, which libpng writes in 16 bits
  const std::vector<std::uint8_t> read_deep =
      read(write(folder, "deep.png", 3, 1, PNG_FORMAT_LINEAR_Y, deep));
  CHECK(read_deep[0] == 0);
  CHECK(read_deep[3] == 128);
  CHECK(read_deep[8] == 255);
}

TEST_CASE("png files: the middle square is scaled by the areas that pixels cover") {
  // 3 rows of 5 pixels, red: the middle 3 x 3 to 2 x 2 covers 1.5 pixels each way.
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 5; ++x)
      pixels.insert(pixels.end(),
                    {static_cast<std::uint8_t>(x == 0 || x == 4 ? 250 : 9 * (x + 3 * y)), 7, 0});
  const Tensor small = square(Tensor::of(Shape{3, 5, 3}, pixels), 2);
  // Rows of x = 1, 2, 3 hold 9 (x + 3 y). Top left: weights 1, ½ each way over 2.25.
  const auto value = [](double x, double y) { return 9 * (x + 3 * y); };
  const double corner =
      (value(1, 0) + 0.5 * value(2, 0) + 0.5 * value(1, 1) + 0.25 * value(2, 1)) / 2.25;
  CHECK(small.shape() == Shape{2, 2, 3});
  CHECK(small.data<std::uint8_t>()[0] == std::lround(corner));
  CHECK(small.data<std::uint8_t>()[1] == 7);
  const Tensor same = square(
      Tensor::of(Shape{2, 2, 3}, std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}),
      2);
  CHECK(same.to_vector<std::uint8_t>() ==
        std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const Tensor large = square(Tensor::of(Shape{1, 1, 3}, std::vector<std::uint8_t>{1, 2, 3}), 2);
  CHECK(large.to_vector<std::uint8_t>() ==
        std::vector<std::uint8_t>{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3});
}

TEST_CASE("png files: what is no picture is named, whatever it claims") {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& name, const Bytes& bytes) {
    const std::string path = folder.write(name, bytes);
    std::string message = data_error([&] { read_png(path); });
    if (message.starts_with("png: " + path))
      message = message.substr(5 + path.size());
    return message;
  };
  CHECK(error_of("text.png", {'h', 'e', 'l', 'l', 'o', ',', ' ', 'y', 'o', 'u'}) ==
        " cannot be read: Not a PNG file. Take it out of the folder.");
  CHECK(error_of("empty.png", {}) == " cannot be read: Read Error. Take it out of the folder.");
  CHECK(error_of("wide.png", claims(100000, 1)) ==
        " cannot be read: Invalid IHDR data. Take it out of the folder.");
  CHECK(error_of("nothing.png", claims(8000, 8000)).starts_with(" cannot be read: "));
  const std::uint8_t rgb[300] = {};
  const std::string good = write(folder, "good.png", 10, 10, PNG_FORMAT_RGB, rgb);
  std::ifstream file(good, std::ios::binary);
  const Bytes whole{std::istreambuf_iterator<char>(file), {}};
  for (std::size_t cut = 0; cut < whole.size() - 12; ++cut)  // the last chunk ends the file
    CHECK(
        error_of("cut.png", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)))
            .starts_with(" cannot be read: "));
  for (std::size_t place = 0; place < whole.size(); ++place) {  // never a crash
    Bytes damaged = whole;
    damaged[place] ^= 0x55;
    error_of("damaged.png", damaged);
  }
}

TEST_CASE("png folder: a tenth of the files for test, one for validation, by their names") {
  const TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) {
    const std::uint8_t grey[] = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i)};
    write(folder, fmt::format("pngs/{}.png", i), 2, 1, PNG_FORMAT_GRAY, grey);
  }
  folder.write("pngs/readme.txt", {1, 2, 3});
  const auto data = make_data_set("pngs-32", {.directory = folder.path()});
  CHECK(data->name() == "pngs, 20 files, middle square by area to 32x32");
  CHECK(data->image() == Shape{32, 32, 3});
  CHECK(data->size(Split::train) == 16);
  CHECK(data->size(Split::validation) == 2);
  CHECK(data->size(Split::test) == 2);
  std::vector<int> seen;
  const Draw draw{make_step_state({}), 1, 0};
  for (const Split split : {Split::train, Split::validation, Split::test})
    for (std::int64_t row = 0; row < data->size(split); ++row) {
      const std::vector<std::int64_t> rows = {row};
      seen.push_back(data->bytes(split, rows, draw).data<std::uint8_t>()[0]);
    }
  std::sort(seen.begin(), seen.end());
  std::vector<int> all(20);
  std::iota(all.begin(), all.end(), 0);
  CHECK(seen == all);
  CHECK(make_data_set("pngs-32", {.directory = folder.path(), .device = {Device::meta}})
            ->size(Split::train) == 16);
}

TEST_CASE("png folder: too few files are said with the place") {
  const TemporaryFolder folder;
  CHECK(data_error([&] { make_data_set("pngs-64", {.directory = folder.path()}); }) ==
        "data: " + folder / "pngs" +
            " holds 0 files that end in .png, and at least 10 are needed: one for test, one for "
            "validation. Put pictures there, or name the folder above it with --data-dir or "
            "LIKELY_DATA.");
}
