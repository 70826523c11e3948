// Run directories that came from elsewhere: whatever lies in them, a verb ends soon and in words.
#include <sys/stat.h>
#include <zlib.h>

#include "tests/memory.h"
#include "tests/zoo/tiny_run.h"

using namespace likely;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// A run of two steps, a fresh copy each time it is asked for.
class Runs {
 public:
  Runs() { REQUIRE(run(folder_ / "first", {{"steps", "2"}}) == 0); }
  std::string fresh() {
    const std::string name = folder_ / fmt::format("run-{}", ++count_);
    fs::copy(folder_ / "first", name,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    return name;
  }

 private:
  TemporaryFolder folder_;
  int count_ = 0;
};

std::string state_file(const std::string& run) { return run + "/checkpoints/step-2/state.json"; }

// As somebody would who knows how checksums are made.
void forge(const std::string& run, const std::function<void(Json&)>& change) {
  Json state = Json::parse(read_file(state_file(run)));
  state.erase("checksum");
  change(state);
  const std::string text = state.dump();
  state["checksum"] = fmt::format(
      "{:08x}", crc32_z(0, reinterpret_cast<const unsigned char*>(text.data()), text.size()));
  write_file(state_file(run), state.dump(2) + "\n");
}

}  // namespace

TEST_CASE("a hostile run: what state.json lacks, or says out of range, is named") {
  const Deadline soon;
  Runs runs;
  const auto check = [&](const std::function<void(Json&)>& change, const std::string& message) {
    const std::string run = runs.fresh();
    forge(run, change);
    const Outcome outcome = tiny({"resume", run, "-q", "--steps", "4"});
    CAPTURE(outcome.error);
    CHECK(outcome.exit_code == 2);
    CHECK(holds(outcome.error, message));
    CHECK(outcome.error.size() < 2000);
  };
  check([](Json& s) { s["format"] = 99; }, "state.json has the format 99, and likely ");
  check([](Json& s) { s.erase("format"); }, "state.json: there is no \"format\".");
  check([](Json& s) { s["step"] = -5; }, "\"step\" is -5, not a whole number from 0 to ");
  check([](Json& s) { s["step"] = std::int64_t{1} << 60; }, "\"step\" is 1152921504606846976, not");
  check([](Json& s) { s["step"] = 1.5; }, "\"step\" is 1.5, not a whole number");
  check([](Json& s) { s["step"] = "2"; }, "\"step\" is \"2\", not a whole number");
  check([](Json& s) { s["step"] = 1; }, "is of another step than state.json.");
  check([](Json& s) { s["hash"] = Json::array(); }, "\"hash\" is [], not a text.");
  check([](Json& s) { s["hash"] = "\x1b[2J" + std::string(1000, 'x'); }, "is of another step");
  check([](Json& s) { s.erase("facts"); }, "there is no \"facts\".");
  check([](Json& s) { s["facts"] = 7; }, "\"facts\" is 7, not an object.");
  check([](Json& s) { s["facts"].erase("batches"); }, "has no fact \"batches\".");
  check([](Json& s) { s["facts"].erase("choices"); }, "has no fact \"choices\".");
  check([](Json& s) { s["facts"]["batches"] = "-5"; },
        "says \"-5\" of batches: a whole number from 0 to ");
  check([](Json& s) { s["facts"]["batches"] = std::string(1'000'000, '9'); },
        "says \"" + std::string(80, '9') + "\"… of batches");
  check([](Json& s) { s["facts"]["batches"] = "1\x1b[2J"; }, "says \"1\\x1b[2J\" of batches");
  check([](Json& s) { s["facts"]["batches"] = 3; }, "\"batches\" is 3, not a text.");
  check([](Json& s) { s["facts"]["choices"] = "\x1b[2J\n"; }, "a line is no choice: \"\\x1b[2J\".");
  check([](Json& s) { s["facts"]["choices"] = "matmul: vendor -3\n"; }, "a line is no choice");
  check([](Json& s) { s["files"].erase("model.safetensors"); },
        "there is no \"model.safetensors\".");
  check([](Json& s) { s["files"]["model.safetensors"] = Json(); },
        "\"model.safetensors\" is null, not an object.");
  check([](Json& s) { s["files"]["model.safetensors"]["bytes"] = -1; }, "\"bytes\" is -1, not");
}

TEST_CASE("a hostile run: JSON of any depth and length ends in words, in little memory") {
  const Deadline soon;
  Runs runs;
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  const auto outcome = [](const std::vector<std::string>& words) {
    const Outcome outcome = tiny(words);
    CHECK(outcome.error.size() < 2000);
    return fmt::format("{}: {}", outcome.exit_code, outcome.error);
  };
  const std::string run = runs.fresh(), levels = "more levels of lists and objects than likely";
  write_file(state_file(run), deep);
  CHECK(holds(outcome({"resume", run, "-q"}), levels));
  write_file(run + "/evaluation.json", deep);
  CHECK(holds(outcome({"report", run}), "2: error: report: " + run + "/evaluation.json: more"));
  write_file(run + "/evaluation.json",
             R"({"negative_log_likelihood_nats": 1, "kind": 7, "method": [], "model": {}, "real": 1,
            "baselines": [1, {"name": 2}], "terms": {"a": ["b"], "c": {}}, "sweep": [1, {}, "x"]})");
  CHECK(outcome({"report", run}) == "0: ");
  fs::remove(run + "/evaluation.json");
  write_file(run + "/environment.json", deep);
  CHECK(holds(outcome({"report", run}), "2: error: report: " + run + "/environment.json: more"));
  fs::remove(run + "/environment.json");
  write_file(run + "/metrics.jsonl", deep + "\n{\"step\":1,\"loss\":2}\n");
  CHECK(outcome({"report", run}) ==
        "0: " + run + "/metrics.jsonl: line 1 cannot be read and is left out.\n");
  fs::resize_file(state_file(run), std::uintmax_t{1} << 34);
  CHECK(holds(outcome({"resume", run, "-q"}), "is longer than 16777216 bytes."));
  if (!std::getenv("LIKELY_TEST_SMALL"))
    CHECK(peak_growth([&] { tiny({"resume", run, "-q"}); }) < 100);
}

TEST_CASE("a hostile run: a FIFO or a device in the place of a file is refused by name") {
  const Deadline soon;
  Runs runs;
  const auto check = [&](const std::string& file, const std::vector<std::string>& verb) {
    for (const bool fifo : {true, false}) {
      const std::string run = runs.fresh(), path = run + "/" + file;
      fs::remove(path);
      if (fifo)
        REQUIRE(mkfifo(path.c_str(), 0600) == 0);
      else
        fs::create_symlink("/dev/zero", path);
      std::vector<std::string> words = verb;
      words.insert(words.begin() + 1, run);
      const Outcome outcome = tiny(words);
      CAPTURE(path);
      CAPTURE(outcome.error);
      CHECK(outcome.exit_code == 2);
      CHECK(holds(outcome.error, "cannot read " + run));
      CHECK(holds(outcome.error, fifo ? ": it is a FIFO." : ": it is a device."));
    }
  };
  check("config.toml", {"report"});
  check("evaluation.json", {"report"});
  check("environment.json", {"report"});
  check("metrics.jsonl", {"report"});
  check("metrics.jsonl", {"resume", "-q", "--steps", "4"});
  for (const char* file : {"state.json", "model.safetensors", "state.safetensors"})
    check(std::string("checkpoints/step-2/") + file, {"resume", "-q", "--steps", "4"});
  check("samples/samples-000002.png", {"report"});

  const std::string fifo = runs.fresh() + "/fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const Outcome outcome = tiny({"train", "--config", fifo});
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.error ==
        "error: read: cannot read " + fifo + ": it is a FIFO. Put a regular file there.\n");
}

TEST_CASE("a hostile run: nothing is written through a link or a FIFO that lies in the way") {
  const Deadline soon;
  Runs runs;
  const std::string run = runs.fresh(), victim = run + "/victim";
  write_file(victim, "kept");
  fs::create_symlink(victim, partial_name(run + "/report.html"));
  CHECK(tiny({"report", run}).exit_code == 0);
  CHECK(read_file(victim) == "kept");
  REQUIRE(mkfifo(partial_name(run + "/report.html").c_str(), 0600) == 0);
  CHECK(tiny({"report", run}).exit_code == 0);
}

TEST_CASE("a hostile run: what config.toml says is shown cut, escaped and with its line") {
  Runs runs;
  const std::string run = runs.fresh(), from = "error: " + run + "/config.toml line 1";
  const auto error = [&](const std::string& text) {
    write_file(run + "/config.toml", text);
    const Outcome outcome = tiny({"report", run});
    CHECK((outcome.exit_code == 1 || outcome.exit_code == 2));
    CHECK(outcome.error.size() < 1000);
    return outcome.error;
  };
  CHECK(holds(error("preset = '\u202equick'"),
              from + ": there is no preset \"\\xe2\\x80\\xaequick\"."));
  CHECK(holds(error("preset = \"\\u001b[2Jquick\""), "no preset \"\\x1b[2Jquick\"."));
  CHECK(holds(error("seed = " + std::string(1'000'000, '9')), std::string(80, '9') + "\"…"));
  CHECK(holds(error("model = \"\\u001b]0;x\\u0007\""), "is for \\x1b]0;x\\x07, not for tiny."));
  CHECK(holds(error("data = \"" + std::string(1'000'000, 'x') + "\""),
              from + ": data cannot be \"" + std::string(80, 'x') + "\"…."));
  CHECK(holds(error("data = \"a\x1b[2J\""), from + ": a control character in a text."));
  CHECK(holds(error("x\x1b[2J = 1"), from + ": after the name x comes `=` and a value."));
}

TEST_CASE("training: quiet means no progress, but what cannot be saved is said") {
  struct Full : HastyFileSystem {
    std::int64_t free_bytes(const std::string&) override { return 10; }
  };
  const TemporaryFolder folder;
  const Captured messages(2);
  CHECK(run(folder / "run", {{"steps", "2"}}, Full()) == 4);
  CHECK(holds(messages.text(), "step 2: could not save a checkpoint: save: a checkpoint needs "));
}
