// A run that cannot start leaves everything as it was; one that has nothing to do changes nothing.
#include <fstream>

#include "tests/zoo/tiny_run.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/program.h"

using namespace likely;

namespace {

// Names and content of all files below a folder.
std::map<std::string, std::string> content_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    files[entry.path().string()] =
        entry.is_regular_file() ? read_file(entry.path().string()) : "a folder or link";
  return files;
}

}  // namespace

TEST_CASE("train: a start that fails leaves no folder, whatever failed") {
  const TemporaryFolder folder;
  const std::string run_folder = folder / "runs/new";
  const auto check_nothing_left = [&](int exit_code, const Outcome& outcome) {
    CAPTURE(outcome.error);
    CHECK(outcome.exit_code == exit_code);
    CHECK_FALSE(std::filesystem::exists(folder / "runs"));
  };
  check_nothing_left(
      2, tiny({"train", "--out", run_folder, "--data", "mnist", "--data-dir", folder / "no data"}));
  ModelDescription unfit = tiny_description();
  unfit.make = [](const Settings&, const DataInfo& data) -> std::unique_ptr<Model> {
    fail<UsageError>("tiny: {} does not fit.", data.image);
  };
  check_nothing_left(1, tiny({"train", "--out", run_folder}, unfit));
  {
    TinyModel::at_step = [](std::int64_t) { fail<OutOfMemory>("no room for a step."); };
    const Outcome outcome = tiny({"train", "--out", run_folder});
    TinyModel::at_step = nullptr;
    check_nothing_left(3, outcome);
  }
  CHECK(tiny({"train", "--out", run_folder, "--steps", "2", "-q"}).exit_code == 0);
}

TEST_CASE("train: of a folder that was there, and of what others put in it, nothing is removed") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "mine");
  for (const char* name : {"mine", "new"}) {
    TinyModel::at_step = [&](std::int64_t) {
      if (name == std::string("new"))
        folder.write("new/samples/theirs.txt", {1});
      fail<OutOfMemory>("no room for a step.");
    };
    CHECK(tiny({"train", "--out", folder / name}).exit_code == 3);
  }
  TinyModel::at_step = nullptr;
  CHECK(std::filesystem::is_empty(folder / "mine"));
  CHECK(std::filesystem::exists(folder / "new/samples/theirs.txt"));
  CHECK_FALSE(std::filesystem::exists(folder / "new/config.toml"));
  CHECK_FALSE(std::filesystem::exists(folder / "new/checkpoints"));
}

TEST_CASE("train: what comes after the first step is kept, and a run without checkpoint is told") {
  const TemporaryFolder folder;
  TinyModel::at_step = [&](std::int64_t step) {
    if (step == 2)
      fail<OutOfMemory>("no room for a step.");
  };
  CHECK(tiny({"train", "--out", folder / "run", "--save-every", "100"}).exit_code == 3);
  TinyModel::at_step = nullptr;
  CHECK(std::filesystem::exists(folder / "run/config.toml"));
  CHECK(holds(tiny({"train", "--out", folder / "run"}).error,
              "They are of a run without a checkpoint: remove them, or choose another --out."));
}

TEST_CASE("resume: config.toml is as before where training cannot start") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"steps", "4"}}) == 0);
  const auto before = content_of(folder / "run");
  const auto check_unchanged = [&](const std::vector<std::string>& words, int exit_code) {
    std::vector<std::string> all{"resume", folder / "run", "--steps", "9"};
    all.insert(all.end(), words.begin(), words.end());
    const Outcome outcome = tiny(all);
    CAPTURE(outcome.error);
    CHECK(outcome.exit_code == exit_code);
    CHECK(content_of(folder / "run") == before);
  };
  check_unchanged({"--threads", "0"}, 1);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run/checkpoints"))
    if (!entry.is_symlink())
      std::filesystem::rename(entry.path() / "model.safetensors", entry.path() / "aside");
  const auto broken = content_of(folder / "run");
  const Outcome outcome = tiny({"resume", folder / "run", "--steps", "9"});
  CHECK(outcome.exit_code == 2);
  CHECK(content_of(folder / "run") == broken);
}

TEST_CASE(
    "resume: with nothing to do it changes nothing, keeps an evaluation and says what would") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"steps", "4"}}) == 0);
  REQUIRE(tiny({"evaluate", folder / "run", "--count", "77"}).exit_code == 0);
  const auto before = content_of(folder / "run");
  for (const auto& more : {std::vector<std::string>{}, {"--steps", "3"}}) {
    std::vector<std::string> words{"resume", folder / "run"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = tiny(words);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.error ==
          fmt::format("{0}/run has done 4 steps, and {1} are asked for: nothing is left to do, and "
                      "nothing was changed. To train on: likely resume {0}/run --steps 8\n",
                      folder.path(), more.empty() ? 4 : 3));
    CHECK(holds(outcome.out, "result   " + folder / "run/evaluation.json\n"));
    CHECK(content_of(folder / "run") == before);
  }
  const auto json = nlohmann::json::parse(tiny({"resume", folder / "run", "--json", "-q"}).out);
  CHECK(json.at("evaluation").at("count") == 77);
  CHECK(json.at("steps") == 4);
}

TEST_CASE("resume: what a run at its last step lacks is made, and only that") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"steps", "4"}}) == 0);
  REQUIRE(tiny({"evaluate", folder / "run", "--count", "77"}).exit_code == 0);
  std::filesystem::remove(folder / "run/samples/samples-000004.png");
  REQUIRE(tiny({"resume", folder / "run", "-q"}).exit_code == 0);
  CHECK(std::filesystem::exists(folder / "run/samples/samples-000004.png"));
  const auto count = [&] {
    return nlohmann::json::parse(read_file(folder / "run/evaluation.json")).at("count");
  };
  CHECK(count() == 77);
  std::filesystem::remove(folder / "run/evaluation.json");
  REQUIRE(tiny({"resume", folder / "run", "-q"}).exit_code == 0);
  CHECK(count() == 1000);
  REQUIRE(tiny({"evaluate", folder / "run", "--count", "77"}).exit_code == 0);
  REQUIRE(tiny({"resume", folder / "run", "--steps", "5", "-q"}).exit_code == 0);
  CHECK(count() == 1000);  // of step 4 there is nothing left to say
}

TEST_CASE("resume: a broken line of metrics.jsonl is said once and takes no step with it") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"steps", "6"}}) == 0);
  std::string text = read_file(folder / "run/metrics.jsonl");
  text[1] = '\0';
  replace_file(real_file_system(), folder / "run/metrics.jsonl", text);
  const Outcome outcome = tiny({"resume", folder / "run", "--steps", "8"});
  CHECK(outcome.exit_code == 0);
  const std::string notice = folder / "run/metrics.jsonl: line 1 cannot be read and is left out.";
  CHECK(holds(outcome.error, notice));
  CHECK(read_file(folder / "run/metrics.jsonl").starts_with(text));
  const Outcome report = tiny({"report", folder / "run"});
  CHECK(report.error == notice + "\n");
  CHECK(holds(read_file(folder / "run/report.html"), notice));
}

TEST_CASE("train: the folder of data files is stored in full, generated data has none") {
  const TemporaryFolder folder;
  const auto stored = [&](const std::map<std::string, std::string>& settings) {
    return with_absolute_folders(resolve(tiny_description(), {}, given(settings)))
        .settings.text("data-dir");
  };
  const std::string here = std::filesystem::current_path().string();
  CHECK(stored({{"data", "mnist"}, {"data-dir", "some/where"}}) == here + "/some/where");
  CHECK(stored({{"data", "mnist"}, {"data-dir", "/some/where"}}) == "/some/where");
  CHECK(stored({{"data", "mnist"}}) ==
        std::filesystem::absolute(default_data_directory()).string());
  CHECK(stored({{"data", "shapes"}}).empty());
}
