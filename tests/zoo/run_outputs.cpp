// Where results go is checked before the work; what is computed is printed; nothing is left behind.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/zoo/tiny_run.h"
#include "zoo/run/output_place.h"

using namespace likely;

namespace {

std::string refusal(const std::string& path, FileSystem& files = real_file_system()) {
  return message_of<UsageError>([&] { OutputPlace("evaluate: --json", path, files); });
}

// Lets nobody make a file.
struct ReadOnly : FileSystem {
  int create(const std::string&) override { return errno = EROFS, -1; }
};

std::int64_t files_in(const std::string& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

}  // namespace

TEST_CASE("output place: what is in the way is named, and nothing is left there") {
  const TemporaryFolder folder;
  const std::string at = "evaluate: --json " + folder.path();
  folder.write("file", {1});
  mkfifo((folder / "pipe").c_str(), 0600);
  std::filesystem::create_directory(folder / "folder");
  CHECK(
      refusal(folder / "none/e.json") ==
      fmt::format("{0}/none/e.json: there is no folder {1}/none. Make it first: mkdir -p {1}/none",
                  at, folder.path()));
  CHECK(refusal(folder / "file/e.json") ==
        fmt::format("{}/file/e.json: {}/file is a file, not a folder.", at, folder.path()));
  CHECK(refusal(folder / "folder") ==
        at + "/folder: it is a folder. Give the name of a file in it.");
  CHECK(refusal(folder / "pipe") ==
        at + "/pipe: it is no ordinary file, but a pipe, a socket or a disk. Give the name of a "
             "file.");
  CHECK(refusal("") == "evaluate: --json: the file's name is empty. Give one.");
  CHECK(refusal(folder / std::string(300, 'a')).find("File name too long") != std::string::npos);
  CHECK(refusal("/dev/fd/987") == "evaluate: --json /dev/fd/987: it is not open for writing.");
  ReadOnly files;
  CHECK(refusal(folder / "e.json", files) ==
        fmt::format("{}/e.json: no file can be made in {}: Read-only file system. Choose another "
                    "place.",
                    at, folder.path()));
  CHECK(files_in(folder.path()) == 3);
}

TEST_CASE("output place: a file is replaced whole or stays as it was; a link stays a link") {
  struct FullDisk : FileSystem {
    ssize_t write(int file, const void* data, std::size_t bytes) override {
      if (left-- > 0)
        return FileSystem::write(file, data, bytes / 2);
      return errno = ENOSPC, -1;
    }
    int left = 1;
  } full;
  const TemporaryFolder folder;
  replace_file(real_file_system(), folder / "a", "before");
  std::filesystem::create_symlink("a", folder / "link");
  CHECK_THROWS_AS(OutputPlace("x", folder / "a", full).write("0123456789"), SaveError);
  CHECK(read_file(folder / "a") == "before");
  CHECK(files_in(folder.path()) == 2);
  OutputPlace("x", folder / "link").write("after");
  CHECK(read_file(folder / "a") == "after");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("output place: the standard streams and devices are written as they stand") {
  const Captured out(1);
  fmt::print("table\n");
  OutputPlace("x", "/dev/stdout").write("json\n");
  OutputPlace("x", "/dev/fd/1").write("json again\n");
  OutputPlace("x", "/dev/null").write("nowhere");
  CHECK(out.text() == "table\njson\njson again\n");
  CHECK(std::filesystem::is_character_file("/dev/null"));
}

TEST_CASE("outputs: a place that cannot be written is refused before any work, by every verb") {
  const TemporaryFolder folder;
  const std::string run_folder = folder / "run", nowhere = folder / "none/file";
  REQUIRE(run(run_folder, {{"steps", "2"}}) == 0);
  // Weights that cannot be read: whoever looks at the place first does not get to them.
  for (const auto& entry : std::filesystem::directory_iterator(run_folder + "/checkpoints"))
    if (entry.is_directory() && !entry.is_symlink())
      replace_file(real_file_system(), entry.path().string() + "/model.safetensors", "");
  for (const auto& [verb, option] : {std::pair("evaluate", "--json"),
                                     {"audit", "--json"},
                                     {"sample", "--out"},
                                     {"export", "--out"}}) {
    CAPTURE(verb);
    const Outcome outcome = tiny({verb, run_folder, option, nowhere});
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.error == fmt::format("error: {0}: {1} {2}/none/file: there is no folder "
                                       "{2}/none. Make it first: mkdir -p {2}/none\n",
                                       verb, option, folder.path()));
    CHECK(outcome.out.empty());
  }
  const std::string below = run_folder + "/config.toml/new";
  CHECK(tiny({"train", "--out", below}).error ==
        fmt::format("error: train: --out {0}/new: {0} is a file, not a folder.\n",
                    run_folder + "/config.toml"));
}

TEST_CASE("evaluate: results that cannot be kept are printed all the same") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"steps", "2"}}) == 0);
  const std::string evaluation = folder / "run/evaluation.json";
  std::filesystem::remove(evaluation);
  std::filesystem::create_directories(evaluation + "/in the way");
  const Outcome outcome =
      tiny({"evaluate", folder / "run", "--count", "10", "--json", folder / "e.json"});
  CHECK(outcome.exit_code == 4);
  CHECK(outcome.out.find("negative log-likelihood") != std::string::npos);
  CHECK(outcome.error.find("save: cannot rename") != std::string::npos);
  CHECK(nlohmann::json::parse(read_file(folder / "e.json")).at("step") == 2);
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("command line: every count begins at 1, and the message says so") {
  for (const auto& [verb, option] : {std::pair("sample", "--count"),
                                     {"evaluate", "--count"},
                                     {"evaluate", "--samples"},
                                     {"evaluate", "--importance-samples"},
                                     {"audit", "--count"}}) {
    CAPTURE(verb);
    CAPTURE(option);
    const auto error = [&](const char* value) {
      const Outcome outcome = tiny({verb, "run", option, value});
      CHECK(outcome.exit_code == 1);
      return outcome.error;
    };
    CHECK(error("0").find(fmt::format("{}: 0 is below 1. Use 1 to", option)) != std::string::npos);
    CHECK(error("-3").find(": -3 is below 1.") != std::string::npos);
    CHECK(error("many").find("is no whole number.") != std::string::npos);
  }
  CHECK(tiny({"check-gradients", "--directions", "0"}).error.find("--directions: 0 is below 1.") !=
        std::string::npos);
}
