// A folder of PNG files: every kind is read, hostile ones are named.
#include <png.h>
#include <sys/stat.h>

#include <array>
#include <cmath>
#include <set>

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

std::vector<std::uint8_t> pixels_of(const std::string& path) {
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
  CHECK(pixels_of(write(folder, "grey.png", 2, 1, PNG_FORMAT_GRAY, grey)) ==
        std::vector<std::uint8_t>{10, 10, 10, 200, 200, 200});
  const std::uint8_t rgb[] = {1, 2, 3, 4, 5, 6};
  CHECK(pixels_of(write(folder, "rgb.png", 1, 2, PNG_FORMAT_RGB, rgb)) ==
        std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  const std::uint8_t rgba[] = {10, 20, 30, 255, 0, 100, 200, 0, 0, 0, 0, 51};
  CHECK(pixels_of(write(folder, "rgba.png", 3, 1, PNG_FORMAT_RGBA, rgba)) ==
        std::vector<std::uint8_t>{10, 20, 30, 255, 255, 255, 204, 204, 204});
  const std::uint8_t map[] = {9, 8, 7, 200, 100, 50}, places[] = {1, 0, 1};
  CHECK(pixels_of(write(folder, "palette.png", 3, 1, PNG_FORMAT_RGB_COLORMAP, places, map, 2)) ==
        std::vector<std::uint8_t>{200, 100, 50, 9, 8, 7, 200, 100, 50});
  const std::uint16_t deep[] = {0, 32768, 65535};  // linear light, which libpng writes in 16 bits
  const std::vector<std::uint8_t> read_deep =
      pixels_of(write(folder, "deep.png", 3, 1, PNG_FORMAT_LINEAR_Y, deep));
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
  CHECK(error_of("wide.png", claims(8193, 1)) ==
        " is 8193 pixels wide and 1 high: at most 8192 each way and 33554432 in all are read. Make "
        "it smaller, or take it out of the folder.");
  CHECK(error_of("high.png", claims(1, 2147483647))
            .starts_with(" is 1 pixels wide and 2147483647 high: at most 8192 each way"));
  CHECK(error_of("large.png", claims(8000, 8000))
            .starts_with(" is 8000 pixels wide and 8000 high: at most 8192 each way"));
  CHECK(error_of("none.png", claims(0, 1)).starts_with(" cannot be read: "));
  CHECK(error_of("nothing.png", claims(100, 100)).starts_with(" cannot be read: "));
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

namespace {

// A picture of one grey value, by which it is known again.
void write_grey(const TemporaryFolder& folder, const std::string& name, int value) {
  const std::vector<std::uint8_t> grey(2, static_cast<std::uint8_t>(value));
  write(folder, "pngs/" + name, 2, 1, PNG_FORMAT_GRAY, grey.data());
}

// The grey values of each split.
std::array<std::set<int>, 3> greys(const DataSet& data) {
  std::array<std::set<int>, 3> splits;
  const Draw draw{make_step_state({}), 1, 0};
  for (const Split split : {Split::train, Split::validation, Split::test})
    for (std::int64_t row = 0; row < data.size(split); ++row) {
      const std::vector<std::int64_t> rows = {row};
      splits[static_cast<std::size_t>(split)].insert(
          data.bytes(split, rows, draw).data<std::uint8_t>()[0]);
    }
  return splits;
}

std::unique_ptr<DataSet> pictures(const TemporaryFolder& folder, Device device = Device::cpu) {
  return make_data_set("pngs-32", {.directory = folder.path(), .device = device});
}

}  // namespace

TEST_CASE(
    "png folder: the hash of a name decides its split, and pictures that come move no other") {
  const TemporaryFolder folder;
  for (int i = 0; i < 40; ++i)
    write_grey(folder, fmt::format("{}.png", i), i);
  const auto before = pictures(folder);
  CHECK(before->name() == "pngs, 40 files, middle square by area to 32x32");
  CHECK(before->image() == Shape{32, 32, 3});
  CHECK(before->left_out().empty());
  // FNV-1a of each name, in tenths of 2^64, by a program of its own: 0 is for test, 1 for
  // validation.
  const auto old = greys(*before);
  CHECK(old[2] == std::set<int>{3, 8, 19, 23, 33});
  CHECK(old[1] == std::set<int>{1, 13, 14});
  CHECK(old[0].size() == 32);
  CHECK(pictures(folder, Device::meta)->size(Split::train) == 32);
  CHECK(pictures(folder, Device::meta)->content().empty());
  for (int i = 40; i < 55; ++i)
    write_grey(folder, fmt::format("{}.png", i), i);
  const auto after = pictures(folder);
  const auto now = greys(*after);
  std::size_t count = 0;
  for (std::size_t split = 0; split < 3; ++split) {
    count += now[split].size();
    CHECK(
        std::includes(now[split].begin(), now[split].end(), old[split].begin(), old[split].end()));
  }
  CHECK(count == 55);
  CHECK(after->content() != before->content());
}

TEST_CASE("png folder: a few pictures leave no split empty") {
  for (int first = 0; first < 200; first += 10) {
    const TemporaryFolder folder;
    for (int i = first; i < first + 10; ++i)
      write_grey(folder, fmt::format("{}.png", i), i);
    const auto data = pictures(folder, Device::meta);
    std::int64_t count = 0;
    for (const Split split : {Split::train, Split::validation, Split::test}) {
      CHECK(data->size(split) > 0);
      count += data->size(split);
    }
    CHECK(count == 10);
  }
}

TEST_CASE("png folder: capitals are taken, and what is left out is said with an example") {
  const TemporaryFolder folder;
  for (int i = 0; i < 15; ++i)
    write_grey(folder, fmt::format("{}.{}", i, i < 10 ? "png" : "PNG"), i);
  CHECK(pictures(folder)->name() == "pngs, 15 files, middle square by area to 32x32");
  folder.write("pngs/._1.png", {1, 2, 3});
  folder.write("pngs/.DS_Store", {1, 2, 3});
  folder.write("pngs/readme.txt", {1, 2, 3});
  folder.write("pngs/empty.png", {});
  folder.write("pngs/a\nb.png", {0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0, 0});
  std::filesystem::create_directory(folder / "pngs/folder.png");
  REQUIRE(mkfifo((folder / "pngs/fifo.png").c_str(), 0600) == 0);
  for (const Device device : {Device(Device::cpu), Device(Device::meta)}) {
    const auto data = pictures(folder, device);
    CHECK(data->size(Split::train) + data->size(Split::validation) + data->size(Split::test) == 15);
    CHECK(data->left_out() ==
          "data: left out of " + folder / "pngs" +
              ": 1 empty (\"empty.png\"), 2 hidden (\".DS_Store\"), 1 no PNG inside "
              "(\"a\\x0ab.png\"), 2 no file (\"fifo.png\"), 1 not named .png (\"readme.txt\")");
  }
}

TEST_CASE("png folder: too few files are said with the place") {
  const TemporaryFolder folder;
  CHECK(data_error([&] { make_data_set("pngs-64", {.directory = folder.path()}); }) ==
        "data: " + folder / "pngs" +
            " holds 0 PNG files, and at least 10 are needed: some are for test and for "
            "validation. Put pictures there, or name the folder above it with --data-dir or "
            "LIKELY_DATA.");
}
