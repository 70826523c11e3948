#include <doctest/doctest.h>
#include <signal.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>

#include "tests/zoo/run_apart.h"
#include "zoo/run/checkpoint.h"
#include "zoo/run/program.h"

using namespace likely;

namespace {

// While alive: f is called when a step begins.
struct AtStep {
  explicit AtStep(std::function<void(std::int64_t)> f) { TinyModel::at_step = std::move(f); }
  ~AtStep() { TinyModel::at_step = nullptr; }
};

}  // namespace

TEST_CASE("resume: same bytes as never stopped, wherever it was stopped") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "straight") == 0);
  for (const std::int64_t stop : {1, 13, 24, 39}) {
    CAPTURE(stop);
    const std::string name = folder / fmt::format("stopped-{}", stop);
    {
      const AtStep interrupt([&](std::int64_t step) {
        if (step == stop)
          raise(SIGINT);
      });
      REQUIRE(run_apart(name) == 130);
    }
    REQUIRE(run(name) == 0);
    check_same(results(folder / "straight", 40), results(name, 40));
  }
}

TEST_CASE("resume: more steps are the same bytes as a longer run") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "straight") == 0);
  REQUIRE(run(folder / "short", {{"steps", "17"}}) == 0);
  REQUIRE(run(folder / "short", {{"steps", "40"}}) == 0);
  check_same(results(folder / "straight", 40), results(folder / "short", 40));
}

TEST_CASE("resume: after kill -9 no step is lost or doubled in metrics.jsonl") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "straight") == 0);
  const AtStep killing([](std::int64_t step) {
    if (step == 23)
      raise(SIGKILL);
  });
  REQUIRE(run_apart(folder / "killed") == 1000 + SIGKILL);
  TinyModel::at_step = nullptr;
  // Lines that were written after the last checkpoint, and one that was torn.
  std::FILE* metrics = std::fopen((folder / "killed/metrics.jsonl").c_str(), "a");
  std::fputs("{\"step\":21,\"loss\":1}\n{\"step\":22,\"lo", metrics);
  std::fclose(metrics);
  REQUIRE(run(folder / "killed") == 0);
  check_same(results(folder / "straight", 40), results(folder / "killed", 40));
}

TEST_CASE("resume: a copy whose links are gone or became folders goes on with the same bytes") {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  REQUIRE(run(folder / "straight") == 0);
  REQUIRE(run(folder / "short", {{"steps", "17"}}) == 0);
  for (const bool follows : {true, false}) {
    const std::string name = folder / (follows ? "cp -rL" : "no links");
    fs::copy(folder / "short", name,
             fs::copy_options::recursive |
                 (follows ? fs::copy_options::none : fs::copy_options::skip_symlinks));
    REQUIRE(fs::exists(name + "/checkpoints/last") == follows);
    const Captured messages(2);
    REQUIRE(run(name, {{"steps", "40"}}) == 0);
    CHECK(messages.text() ==
          (follows ? ""
                   : fmt::format("checkpoint: {}/checkpoints/last is missing. Taking the newest "
                                 "whole one, step 17.\n",
                                 name)));
    check_same(results(folder / "straight", 40), results(name, 40));
  }
}

TEST_CASE("resume: never begins again without a word, or where checkpoints were lost") {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  REQUIRE(run(folder / "straight") == 0);
  {
    const AtStep killing([](std::int64_t step) {
      if (step == 3)
        raise(SIGKILL);
    });
    REQUIRE(run_apart(folder / "early") == 1000 + SIGKILL);
  }
  std::ofstream(folder / "early/metrics.jsonl") << "{\"step\":1,\"loss\":1}\n";
  fs::create_directory(folder / "early/checkpoints/.step-4.partial");
  {
    const Captured messages(2);
    REQUIRE(run(folder / "early") == 0);
    CHECK(messages.text() ==
          fmt::format("resume: {0}/early/checkpoints holds no checkpoint but a save that was cut "
                      "short: .step-4.partial. Begins again with step 1; {0}/early/metrics.jsonl "
                      "told of step 1.\n",
                      folder.path()));
  }
  check_same(results(folder / "straight", 40), results(folder / "early", 40));

  REQUIRE(run(folder / "lost", {{"steps", "17"}}) == 0);
  const std::string metrics = read_file(folder / "lost/metrics.jsonl");
  const std::string name = folder / "lost/checkpoints/";
  for (const char* left : {"step-17", "last", ""}) {
    CAPTURE(left);
    for (const auto& entry : fs::directory_iterator(name))
      if (entry.path().filename() != left)
        fs::remove_all(entry.path());
    fs::remove(name + left + "/model.safetensors");
    const std::string message = message_of<DataError>([&] { run(folder / "lost"); });
    if (*left)
      CHECK(
          message.starts_with(fmt::format("checkpoint: none in {}/lost/checkpoints is whole: "
                                          "found {}",
                                          folder.path(), left)));
    else
      CHECK(message ==
            fmt::format("resume: {0}/lost/checkpoints holds no checkpoint, but "
                        "{0}/lost/metrics.jsonl tells of step 17, and steps were to be saved from "
                        "4 on. Put the checkpoints back, or train anew: likely train tiny --config "
                        "{0}/lost/config.toml",
                        folder.path()));
    CHECK(read_file(folder / "lost/metrics.jsonl") == metrics);
    if (std::string(left) == "step-17")
      fs::create_symlink("step-17", name + "last");
  }
}

TEST_CASE("a trained run: whoever asks is told its step where `last` does not lead to it") {
  const TemporaryFolder folder;
  const std::string name = folder / "run";
  REQUIRE(run(name, {{"steps", "8"}}) == 0);
  std::filesystem::remove(name + "/checkpoints/last");
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"sample", name, "--count", "4"},
        {"evaluate", name, "--count", "9", "-q"},
        {"audit", name, "--count", "9", "-q"},
        {"export", name}}) {
    CAPTURE(words[0]);
    const Outcome outcome = outcome_of(tiny_description(), words);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.error.find(fmt::format("checkpoint: {}/checkpoints/last is missing. Taking the "
                                         "newest whole one, step 8.\n",
                                         name)) != std::string::npos);
  }
}

TEST_CASE("training: the same bytes with one and two threads, and another seed differs") {
  const TemporaryFolder folder;
  std::map<std::string, std::string> settings{{"data", "shapes"}, {"eval-every", "20"}};
  for (const auto& [name, threads, seed] :
       {std::tuple("one", "1", "1"), {"two", "2", "1"}, {"other", "2", "2"}}) {
    settings["threads"] = threads;
    settings["seed"] = seed;
    REQUIRE(run(folder / name, settings) == 0);
  }
  const auto one = results(folder / "one", 40);
  check_same(one, results(folder / "two", 40));
  CHECK(results(folder / "other", 40).at("model.safetensors") != one.at("model.safetensors"));
}

TEST_CASE("metrics.jsonl: an object a step with step and loss; evaluations at their interval") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"eval-every", "20"}}) == 0);
  std::int64_t step = 0;
  for (const auto& object : metrics_of(folder / "run")) {
    CHECK(object.at("step") == ++step);
    CHECK(object.at("loss").is_number());
    CHECK(object.contains("gap_nats") == (step % 20 == 0));
  }
  CHECK(step == 40);
}

TEST_CASE("training: a NaN in any op that the loss depends on is named, and nothing is changed") {
  struct Recording : Watch {
    void value(const char* op, int, Tensor&) override {
      if (on)
        ops.insert(op);
    }
    void gradient(const char*, int, Tensor&) override {}
    std::set<std::string> ops;
    bool on = false;
  };
  struct Poison : Watch {
    void value(const char* op, int, Tensor& value) override {
      if (!armed || op != name)
        return;
      Tensor distinct = value;  // of a stretched view
      for (int axis = 0; axis < value.rank(); ++axis)
        if (value.strides()[axis] == 0)
          distinct = distinct.slice(axis, 0, 1);
      kernels::fill(distinct, NAN);
    }
    void gradient(const char*, int, Tensor&) override {}
    std::string name;
    bool armed = false;
  };
  const TemporaryFolder folder;
  Recording recording;
  {
    const AtStep first([&](std::int64_t step) { recording.on = step == 0; });
    REQUIRE(run(folder / "clean", {{"steps", "2"}, {"eval-every", "9"}, {"sample-every", "9"}}) ==
            0);
  }
  REQUIRE(recording.ops.size() > 3);
  REQUIRE(run(folder / "reference", {{"steps", "4"}}) == 0);
  for (const std::string& op : recording.ops) {
    CAPTURE(op);
    Poison poison;
    poison.name = op;
    const AtStep arm([&](std::int64_t step) { poison.armed = step == 5; });
    const std::string name = folder / op;
    const std::string message = message_of<Diverged>([&] { run(name); });
    CHECK(message.starts_with("train: step 6 diverged: " + op + ": output 0 of shape "));
    CHECK(message.ends_with(
        ". The parameters are as before this update. Lower --rate, or look at the data."));
    CHECK(read_file(name + "/checkpoints/last/model.safetensors") ==
          read_file(folder / "reference/checkpoints/last/model.safetensors"));
  }
}

TEST_CASE("signals: a checkpoint, then 130 or 143; a second Ctrl-C leaves at once") {
  const TemporaryFolder folder;
  for (const auto& [signal, exit_code] : {std::pair(SIGINT, 130), {SIGTERM, 143}, {SIGHUP, 143}}) {
    const AtStep interrupt([signal = signal](std::int64_t step) {
      if (step == 6)
        raise(signal);
    });
    const std::string name = folder / fmt::format("signal-{}", signal);
    CHECK(run_apart(name) == exit_code);
    CHECK(CheckpointFolder(name + "/checkpoints").load([](const std::string&) {}).step == 7);
  }
  const AtStep twice([](std::int64_t step) {
    if (step == 6) {
      raise(SIGINT);
      raise(SIGINT);
    }
  });
  CHECK(run_apart(folder / "twice") == 130);
  CHECK(CheckpointFolder(folder / "twice/checkpoints").load([](const std::string&) {}).step == 4);
}

TEST_CASE("training: a save that fails is tried again; only the last one decides the exit code") {
  // Refuses to make folders for checkpoints while `full`.
  struct FullDisk : HastyFileSystem {
    std::int64_t free_bytes(const std::string& path) override {
      return full ? 0 : FileSystem::free_bytes(path);
    }
    bool full = true;
  } files;
  const TemporaryFolder folder;
  const auto quietly = [&](const std::string& name) {
    const Captured messages(2);
    return run(folder / name, {}, std::move(files));
  };
  CHECK(quietly("always") == 4);
  const AtStep room([&](std::int64_t step) { files.full = step < 30; });
  CHECK(quietly("at-first") == 0);
  CHECK(CheckpointFolder(folder / "at-first/checkpoints").load([](const std::string&) {}).step ==
        40);
  REQUIRE(run(folder / "straight") == 0);
  check_same(results(folder / "straight", 40), results(folder / "at-first", 40));
}

TEST_CASE("run directory: one that holds files is never written over") {
  const TemporaryFolder folder;
  folder.write("run/notes.txt", {1});
  CHECK(message_of<UsageError>([&] { RunDirectory::planned(folder / "run"); }) ==
        fmt::format("train: {}/run already holds files. Choose another --out.", folder.path()));
  std::filesystem::create_directories(folder / "run/checkpoints/step-4");
  CHECK(message_of<UsageError>([&] { RunDirectory::planned(folder / "run"); }) ==
        fmt::format("train: {0}/run already holds files. Go on with `likely resume {0}/run`, or "
                    "choose another --out.",
                    folder.path()));
  CHECK(message_of<UsageError>([&] { RunDirectory::open(folder / "none"); }) ==
        fmt::format("{}/none holds no run: it has no config.toml. Give the folder that `train` "
                    "printed.",
                    folder.path()));
}

TEST_CASE("training: a precision that is missing is a usage error") {
  for (const std::string precision : {"bf16", "tf32"})
    CHECK(message_of<UsageError>([&] {
            apply_to_program(resolve(tiny_description(), {},
                                     given({{"device", "cpu"}, {"precision", precision}})));
          }) == "precision: the CPU computes in f32: got " + precision + ". Use --precision f32.");
}
