#include "tensor/file.h"

#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "format_tools.h"
#include "tests/memory.h"

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

TEST_CASE("file: only regular files are read, whatever lies in the place of one") {
  const Deadline soon;
  const auto opened = [](const std::string& what) {
    return message([&] { open_to_read("test", what); });
  };
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const std::string fifo = path + ": it is a FIFO. Put a regular file there.";
  CHECK(opened(path) == "test: cannot read " + fifo);
  CHECK(message([] { ByteSource::file("test", path); }) == "test: cannot read " + fifo);
  CHECK(message([] { read_file(path); }) == "read: cannot read " + fifo);
  std::filesystem::remove(path);
  CHECK(opened("/dev/zero") ==
        "test: cannot read /dev/zero: it is a device. Put a regular file there.");
  CHECK(opened("/") == "test: cannot read /: it is a folder. Put a regular file there.");
  CHECK(opened("/nowhere/file") == "test: cannot read /nowhere/file: No such file or directory.");
  std::filesystem::create_symlink("/dev/zero", path);
  CHECK(opened(path) ==
        "test: cannot read " + path + ": it is a device. Put a regular file there.");
  std::filesystem::remove(path);
}

TEST_CASE("file: no more is read than was allowed") {
  std::ofstream(path) << "0123456789";
  CHECK(read_file(path, 10) == "0123456789");
  CHECK(message([] { read_file(path, 9); }) == "read: " + path + " is longer than 9 bytes.");
  std::filesystem::resize_file(path, std::uintmax_t{1} << 40);  // of which the disk holds nothing
  CHECK(message([] { read_file(path); }) == "read: " + path + " is longer than 67108864 bytes.");
  std::filesystem::remove(path);
}

TEST_CASE("file: of a line of any length no more is kept than was allowed") {
  std::ofstream(path) << "one\n\nlonger\nlast";
  const InputFile file = open_to_read("test", path);
  Line line;
  const auto next = [&](const char* text, std::int64_t bytes, bool ended) {
    REQUIRE(read_line(file, 5, line));
    CHECK(line.text == text);
    CHECK(line.bytes == bytes);
    CHECK(line.ended == ended);
  };
  next("one", 4, true);
  next("", 1, true);
  next("longe", 7, true);
  next("last", 4, false);
  CHECK(!read_line(file, 5, line));
  std::filesystem::remove(path);
}

TEST_CASE("file: what is written goes through no link or FIFO that lies in its way") {
  const Deadline soon;
  const std::string victim = path + "-victim";
  std::ofstream(victim) << "kept";
  std::filesystem::create_symlink(victim, path + ".partial");
  save_file(path, [](const ByteSink& sink) { sink("new", 3); });
  CHECK(content() == "new");
  CHECK(read_file(victim) == "kept");
  REQUIRE(mkfifo((path + ".partial").c_str(), 0600) == 0);
  save_file(path, [](const ByteSink& sink) { sink("newer", 5); });
  CHECK(content() == "newer");
  std::filesystem::remove(path);
  std::filesystem::remove(victim);
}
