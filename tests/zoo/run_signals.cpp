#include <signal.h>
#include <sys/resource.h>

#include "tensor/streams.h"
#include "tests/zoo/run_apart.h"
#include "zoo/run/checkpoint.h"
#include "zoo/run/signals.h"

using namespace likely;

namespace {

std::int64_t saved_step(const std::string& folder) {
  return CheckpointFolder(folder + "/checkpoints").load([](const std::string&) {}).step;
}

// While alive: these signals come when step 6 begins.
struct AtStep6 {
  explicit AtStep6(std::vector<int> signals) {
    TinyModel::at_step = [signals](std::int64_t step) {
      for (const int signal : signals)
        if (step == 6)
          raise(signal);
    };
  }
  ~AtStep6() { TinyModel::at_step = nullptr; }
};

// SIGTERM comes when a run writes down what it is.
struct AtConfiguration : HastyFileSystem {
  int create(const std::string& path) override {
    if (path.find("config.toml") != std::string::npos)
      raise(SIGTERM);
    return HastyFileSystem::create(path);
  }
};

// A signal comes whenever a file is made once the first step is done.
struct InEverySave : HastyFileSystem {
  explicit InEverySave(int signal) : signal(signal) {}
  int create(const std::string& path) override {
    if (path.find("/checkpoints/") != std::string::npos && requested_exit())
      raise(signal);
    return HastyFileSystem::create(path);
  }
  int signal;
};

}  // namespace

TEST_CASE("signals: what a process was started to ignore, it goes on ignoring") {
  const TemporaryFolder folder;
  const AtStep6 all({SIGHUP, SIGINT, SIGTERM, SIGHUP, SIGINT, SIGTERM});
  CHECK(apart([&] {
          for (const int each : {SIGHUP, SIGINT, SIGTERM})
            signal(each, SIG_IGN);
          return run_apart(folder / "run");
        }) == 0);
  CHECK(saved_step(folder / "run") == 40);
}

TEST_CASE("signals: only a second Ctrl-C loses the save") {
  const TemporaryFolder folder;
  for (const auto& [name, signals, exit_code, step] :
       {std::tuple("term", std::vector{SIGTERM, SIGTERM}, 143, 7),
        {"hup-term", {SIGHUP, SIGTERM, SIGHUP}, 143, 7},
        {"int-term", {SIGINT, SIGTERM, SIGHUP}, 130, 7},
        {"term-int", {SIGTERM, SIGINT}, 143, 7},
        {"int-int", {SIGINT, SIGTERM, SIGINT}, 130, 4}}) {
    CAPTURE(name);
    const AtStep6 begin(signals);
    CHECK(run_apart(folder / name) == exit_code);
    CHECK(saved_step(folder / name) == step);
  }
  const AtStep6 once({SIGHUP});
  CHECK(run_apart(folder / "saving", InEverySave(SIGTERM)) == 143);
  CHECK(saved_step(folder / "saving") == 7);
}

TEST_CASE("signals: before the first step they end the start of a run, and nothing is left of it") {
  const TemporaryFolder folder;
  ModelDescription description = tiny_description();
  description.make = [make = description.make](const Settings& settings, const DataInfo& data) {
    raise(SIGTERM);
    return make(settings, data);
  };
  CHECK(run_apart(folder / "run", HastyFileSystem(), description) == 1000 + SIGTERM);
  CHECK_FALSE(std::filesystem::exists(folder / "run"));
  CHECK(run_apart(folder / "run", AtConfiguration()) == 143);
  CHECK_FALSE(std::filesystem::exists(folder / "run"));
  CHECK(run(folder / "run", {{"threads", "1"}}) == 0);
}

TEST_CASE("signals: the evaluation after the last step is cut short, and resume takes it up") {
  const TemporaryFolder folder;
  TinyModel::at_likelihood = [&] {
    if (std::filesystem::exists(folder / "run/checkpoints/step-40"))
      raise(SIGTERM);
  };
  CHECK(run_apart(folder / "run") == 143);
  TinyModel::at_likelihood = nullptr;
  CHECK(saved_step(folder / "run") == 40);
  CHECK(run(folder / "run", {{"threads", "1"}}) == 0);
  CHECK(nlohmann::json::parse(read_file(folder / "run/evaluation.json")).at("split") == "test");
}

TEST_CASE("signals: evaluate and audit stop at the next images, and leave nothing") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"threads", "1"}}) == 0);
  TinyModel::at_likelihood = [] { raise(SIGTERM); };
  for (const char* verb : {"evaluate", "audit"}) {
    CAPTURE(verb);
    CHECK(apart([&] {
            const Outcome outcome = outcome_of(
                tiny_description(),
                {verb, folder / "run", "--threads", "1", "--json", folder / "result.json"});
            return outcome.error == "error: stopped by a signal; nothing was written.\n" &&
                           outcome.out.empty()
                       ? outcome.exit_code
                       : 0;
          }) == 143);
  }
  TinyModel::at_likelihood = nullptr;
  CHECK_FALSE(std::filesystem::exists(folder / "result.json"));
}

TEST_CASE("signals: a file at its size limit is a failed save, in words, and no death by SIGXFSZ") {
  const TemporaryFolder folder;
  const int exit_code = apart([&] {
    open_standard_streams();
    const rlimit most{100'000, 100'000};
    setrlimit(RLIMIT_FSIZE, &most);
    const Outcome outcome = outcome_of(tiny_description(), {"train", "--out", folder / "run",
                                                            "--hidden", "2000", "--threads", "1"});
    return outcome.error.find("step 40: could not save a checkpoint: save: cannot write ") !=
                       std::string::npos &&
                   outcome.error.find(": File too large.\n") != std::string::npos
               ? outcome.exit_code
               : 0;
  });
  CHECK(exit_code == 4);
}
