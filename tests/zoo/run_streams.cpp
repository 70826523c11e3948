#include "tensor/streams.h"
#include "tests/apart.h"
#include "tests/zoo/tiny_run.h"

using namespace likely;

namespace {

// The exit code of a binary of this model, in a process of its own. `before` breaks its streams.
int program(std::vector<std::string> words, const std::function<void()>& before) {
  return apart([&] {
    before();
    words.insert(words.begin(), "tiny");
    std::vector<char*> argv;
    for (std::string& word : words)
      argv.push_back(word.data());
    return run_model(tiny_description(), static_cast<int>(argv.size()), argv.data());
  });
}

// What such a program with a broken stdout says on stderr, and its exit code before it.
std::string said_without_stdout(const std::vector<std::string>& words, const BrokenStream& broken) {
  const Captured error(2);
  const int exit_code = program(words, [&] { broken.make(1); });
  return fmt::format("{}: {}", exit_code, error.text());
}

const BrokenStream& stream_named(const std::string& name) {
  for (const BrokenStream& broken : broken_streams())
    if (broken.name == name)
      return broken;
  fail("there is no broken stream {}", name);
}

std::string not_written(const std::string& reason) {
  return "4: error: print: the results cannot be written to stdout: " + reason +
         ". Call again with a stdout that takes them.\n";
}

// A run that waits for the disk in its end alone.
const std::map<std::string, std::string> seldom{
    {"threads", "1"}, {"save-every", "40"}, {"sample-every", "40"}};
std::vector<std::string> training(const std::string& folder) {
  std::vector<std::string> words{"train", "-v", "--out", folder};
  for (const auto& [name, value] : seldom)
    words.insert(words.end(), {"--" + name, value});
  return words;
}

void discard(int descriptor) { becomes(descriptor, open("/dev/null", O_WRONLY)); }

}  // namespace

TEST_CASE("stderr: whatever becomes of it while a run trains, the run is the same") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "straight", seldom) == 0);
  for (const BrokenStream& broken : broken_streams()) {
    CAPTURE(broken.name);
    TinyModel::at_step = [&](std::int64_t step) {
      if (step == 6)
        broken.make(2);
    };
    CHECK(program(training(folder / broken.name), [] {
            discard(1);
            discard(2);
          }) == 0);
    TinyModel::at_step = nullptr;
    check_same(results(folder / "straight", 40), results(folder / broken.name, 40));
  }
}

TEST_CASE("stderr: the other verbs need none either") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"threads", "1"}}) == 0);
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"evaluate", folder / "run", "--threads", "1"},
           {"sample", folder / "run", "--threads", "1"},
           {"check-gradients", "--directions", "1", "--threads", "1"}}) {
    CAPTURE(words[0]);
    CHECK(program(words, [&] {
            discard(1);
            stream_named("a pipe without a reader").make(2);
          }) == 0);
  }
  CHECK(program({"sample", folder / "none"}, [&] { stream_named("a full disk").make(2); }) != 0);
}

TEST_CASE("stdout: every verb whose results do not arrive ends with 4 and says so") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"threads", "1"}}) == 0);
  const BrokenStream& full = stream_named("a full disk");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"train", "--out", folder / "new", "-q", "--threads", "1"},
           {"train", "--out", folder / "json", "-q", "--json", "--threads", "1"},
           {"train", "--print-config"},
           {"resume", folder / "run", "-q", "--threads", "1"},
           {"sample", folder / "run", "--threads", "1"},
           {"evaluate", folder / "run", "-q", "--threads", "1"},
           {"audit", folder / "run", "-q", "--count", "100", "--threads", "1"},
           {"report", folder / "run"},
           {"export", folder / "run", "--threads", "1"},
           {"plan", "--threads", "1"},
           {"plan", "--json", "--threads", "1"},
           {"check-gradients", "--directions", "1", "--threads", "1"},
           {"train", "--help"},
           {}}) {
    CAPTURE(words);
    CHECK(said_without_stdout(words, full) == not_written("No space left on device"));
  }
  CHECK(std::filesystem::exists(folder / "new/checkpoints/last/state.json"));
}

TEST_CASE("stdout: a reader that goes early is an error for results, and none for help") {
  const BrokenStream& gone = stream_named("a pipe without a reader");
  CHECK(said_without_stdout({"plan"}, gone) == not_written("Broken pipe"));
  CHECK(said_without_stdout({"plan", "--help"}, gone) == "0: ");
  CHECK(said_without_stdout({"plan"}, stream_named("closed")) ==
        not_written("Bad file descriptor"));
}

TEST_CASE("streams: those that are closed at the start never become a file of the run") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "straight", seldom) == 0);
  for (const auto& [name, closed, exit_code] :
       {std::tuple("error", std::vector{2}, 0), {"all", {0, 1, 2}, 4}}) {
    CAPTURE(name);
    CHECK(program(training(folder / name), [&] {
            discard(1);
            for (const int descriptor : closed)
              close(descriptor);
          }) == exit_code);
    check_same(results(folder / "straight", 40), results(folder / name, 40));
  }
}
