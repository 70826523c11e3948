#include "tensor/file.h"

#include <array>
#include <filesystem>
#include <fstream>

#include "format_tools.h"

using namespace likely;

namespace {

const std::string path = (std::filesystem::temp_directory_path() / "likely-test-file").string();

std::string content() {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE("file: pieces are read from a file as from memory") {
  const Bytes bytes = bytes_from("0123456789");
  std::ofstream(path) << "0123456789";
  for (const ByteSource& source :
       {ByteSource::file("test", path), ByteSource::memory(bytes, path)}) {
    CHECK(source.size() == 10);
    CHECK(source.name() == path);
    std::array<char, 3> piece{};
    source.read(7, piece.data(), 3);
    CHECK(std::string(piece.data(), 3) == "789");
    source.read(0, piece.data(), 2);
    CHECK(std::string(piece.data(), 3) == "019");
    source.read(10, nullptr, 0);
    CHECK(message([&] { source.read(8, piece.data(), 3); }) ==
          path + ": 3 bytes from 8 on are wanted, it has 10.");
    CHECK(message([&] { source.read(~std::uint64_t{0}, piece.data(), 3); }).find("are wanted") !=
          std::string::npos);
  }
  std::filesystem::remove(path);
}

TEST_CASE("file: one that shrank since it was opened is a DataError") {
  std::ofstream(path) << "0123456789";
  const ByteSource source = ByteSource::file("test", path);
  std::filesystem::resize_file(path, 5);
  std::array<char, 3> piece{};
  CHECK(message([&] { source.read(7, piece.data(), 3); }) ==
        path + ": 3 bytes from 7 on cannot be read.");
  source.read(2, piece.data(), 3);
  CHECK(std::string(piece.data(), 3) == "234");
  std::filesystem::remove(path);
}

TEST_CASE("file: one that could not be written whole leaves the old one") {
  save_file(path, [](const ByteSink& sink) { sink("old", 3); });
  CHECK(content() == "old");
  CHECK_THROWS_WITH_AS(save_file(path,
                                 [](const ByteSink& sink) {
                                   sink("new", 3);
                                   fail("test: stopped half-way.");
                                 }),
                       "test: stopped half-way.", Error);
  CHECK(content() == "old");
  CHECK(!std::filesystem::exists(path + ".partial"));
  std::filesystem::remove(path);

  CHECK_THROWS_WITH_AS(save_file("/nowhere/file", [](const ByteSink&) {}),
                       "save: cannot write /nowhere/file: No such file or directory.", SaveError);
}
