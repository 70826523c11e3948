// Runs whose numbers are not finite: what is said, and what is left of them.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/zoo/tiny_run.h"
#include "zoo/run/finite_checkpoint.h"
#include "zoo/run/report.h"

using namespace likely;

namespace {

// A tiny model that finds NaN in evaluations where a test says so, or is NaN after a step.
struct Doubtful : TinyModel {
  using TinyModel::TinyModel;
  static inline bool likelihoods = false, pictures = false;
  static inline std::int64_t spoiled_step = -1;
  Tensor step(StepContext& context) override {
    const Tensor loss = TinyModel::step(context);
    if (context.step() + 1 == spoiled_step)
      kernels::fill(networks()[0].module.parameters()[0].second.value().slice(0, 0, 1), NAN);
    return loss;
  }
  Likelihood likelihood(const Tensor& images, std::int64_t samples, Random& random,
                        const std::function<void(std::int64_t)>& done) override {
    Likelihood found = TinyModel::likelihood(images, samples, random, done);
    if (likelihoods && !images.is_meta()) {
      found.log_likelihood[2] = NAN;
      found.terms = {{"reconstruction_nats", NAN}, {"by_latent", std::vector<double>{1, NAN}}};
      found.sweep = {{1, NAN, NAN}, {10, NAN, NAN}};
    }
    return found;
  }
  Tensor sample(std::int64_t count, Random& random) override {
    const Tensor samples = TinyModel::sample(count, random);
    if (pictures)
      kernels::fill(samples.slice(0, 1, 2), NAN);
    return samples;
  }
};

// While alive, such numbers are found.
struct Doubts {
  Doubts(bool likelihoods, bool pictures) {
    Doubtful::likelihoods = likelihoods;
    Doubtful::pictures = pictures;
  }
  ~Doubts() { Doubtful::likelihoods = Doubtful::pictures = false; }
};

ModelDescription doubtful() {
  ModelDescription description = tiny_description();
  description.make = [](const Settings& settings, const DataInfo& data) {
    return std::make_unique<Doubtful>(settings, data);
  };
  return description;
}

const char* const words =
    "evaluate: -log p of 1 of the 30 test images is not finite; of the first, number 3, it is nan, "
    "of tiny on bars-4. The weights are finite, but what is computed from them overflows. Train "
    "anew with a lower --rate.";

// The words of what f throws, and what it says on stderr.
template <class F>
std::pair<std::string, std::string> diverged(const F& f) {
  const Captured error(2);
  const std::string message = message_of<Diverged>(f);
  return {message, error.text()};
}

}  // namespace

TEST_CASE("evaluate: exit 5 where it is not finite, and the run is as before") {
  const TemporaryFolder folder;
  const std::string name = folder / "run";
  REQUIRE(run(name, {{"steps", "5"}}, HastyFileSystem(), doubtful()) == 0);
  const auto files = [&] {
    return read_file(name + "/evaluation.json") + read_file(name + "/report.html");
  };
  const std::string before = files();
  {
    const Doubts doubts(true, false);
    const Outcome found = outcome_of(
        doubtful(), {"evaluate", name, "--count", "30", "-q", "--json", folder / "e.json"});
    CHECK(found.exit_code == 5);
    CHECK(found.out.empty());
    CHECK(found.error == std::string("error: ") + words + "\n");
  }
  CHECK(files() == before);
  CHECK_FALSE(std::filesystem::exists(folder / "e.json"));
  CHECK(outcome_of(doubtful(), {"evaluate", name, "--count", "30", "-q"}).exit_code == 0);
  CHECK(outcome_of(doubtful(), {"report", name}).exit_code == 0);
}

TEST_CASE("training: an evaluation that is not finite is said, and the last one decides the exit") {
  const TemporaryFolder folder;
  const std::string name = folder / "run", reference = folder / "reference";
  const std::map<std::string, std::string> settings{
      {"steps", "12"}, {"eval-every", "4"}, {"save-every", "4"}, {"eval-count", "30"}};
  REQUIRE(run(reference, settings, HastyFileSystem(), doubtful()) == 0);
  {
    // Only the evaluations after steps 4 and 8.
    TinyModel::at_step = [](std::int64_t step) { Doubtful::likelihoods = step < 9; };
    const Doubts doubts(true, false);
    CHECK(run(name, settings, HastyFileSystem(), doubtful()) == 0);
    TinyModel::at_step = nullptr;
  }
  const auto lines = metrics_of(name);
  REQUIRE(lines.size() == 12);
  for (const std::size_t step : {4, 8})
    CHECK(lines[step - 1].at("negative_log_likelihood_nats").is_null());
  CHECK(lines[11].at("negative_log_likelihood_nats").is_number());
  CHECK(read_file(name + "/checkpoints/last/model.safetensors") ==
        read_file(reference + "/checkpoints/last/model.safetensors"));

  const std::string last = folder / "last";
  {
    const Doubts doubts(true, true);
    std::vector<std::string> line{"train", "--out", last};
    for (const auto& [setting, value] : settings)
      line.insert(line.end(), {"--" + setting, value});
    const Outcome found = outcome_of(doubtful(), line);
    CHECK(found.exit_code == 5);
    CHECK(holds(found.error, "step 4: evaluate: -log p of 1 of the 30 "));
    CHECK(holds(found.error, "step 12: sample: a value of sample 2 is nan, of tiny on bars-4."));
    CHECK(found.error.ends_with(std::string("error: ") + words + "\n"));
    CHECK(found.out == fmt::format("report   {0}/report.html\nrun      {0}\n", last));
  }
  CHECK_FALSE(std::filesystem::exists(last + "/evaluation.json"));
  CHECK(std::filesystem::exists(last + "/report.html"));
  CHECK(read_file(last + "/checkpoints/last/model.safetensors") ==
        read_file(reference + "/checkpoints/last/model.safetensors"));
}

TEST_CASE("sample: exit 5 where a sample is not finite, and no picture is written") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"steps", "2"}}, HastyFileSystem(), doubtful()) == 0);
  const Doubts doubts(false, true);
  const Outcome found =
      outcome_of(doubtful(), {"sample", folder / "run", "--out", folder / "new.png"});
  CHECK(found.exit_code == 5);
  CHECK(found.error ==
        "error: sample: a value of sample 2 is nan, of tiny on bars-4. The weights are finite, but "
        "what is computed from them overflows. Train anew with a lower --rate.\n");
  CHECK_FALSE(std::filesystem::exists(folder / "new.png"));
}

TEST_CASE("report: an evaluation.json with null in any place, as older builds left, is drawn") {
  const TemporaryFolder folder;
  const std::string name = folder / "run";
  REQUIRE(run(name, {{"steps", "5"}}, HastyFileSystem(), doubtful()) == 0);
  nlohmann::json whole = nlohmann::json::parse(read_file(name + "/evaluation.json"));
  whole["real"] = {{"modes_covered", 8}};
  whole["terms"] = {{"a", 1.5}, {"b", {1, 2}}};
  whole["sweep"] = {
      {{"importance_samples", 1}, {"negative_log_likelihood_nats", 3}, {"standard_error_nats", 1}},
      {{"importance_samples", 9}, {"negative_log_likelihood_nats", 3}, {"standard_error_nats", 1}}};
  const nlohmann::json flat = whole.flatten();
  const RunDirectory directory = RunDirectory::open(name);
  HastyFileSystem files;
  const auto drawn = [&](const nlohmann::json& evaluation) {
    replace_file(files, name + "/evaluation.json", evaluation.dump());
    return report_html(directory, doubtful()).ends_with("</html>\n");
  };
  for (const auto& [key, value] : flat.items())
    for (const nlohmann::json& other : {nlohmann::json(), nlohmann::json("x"), nlohmann::json(7)}) {
      CAPTURE(key);
      nlohmann::json spoiled = flat;
      spoiled[key] = other;
      CHECK(drawn(spoiled.unflatten()));
    }
  for (const auto& [key, value] : whole.items()) {
    CAPTURE(key);
    nlohmann::json spoiled = whole;
    spoiled[key] = nullptr;
    CHECK(drawn(spoiled));
  }
  CHECK(drawn(nullptr));
  CHECK(outcome_of(doubtful(), {"report", name}).exit_code == 0);
}

TEST_CASE("training: under the largest rate every checkpoint is finite, however the run ends") {
  const TemporaryFolder folder;
  const std::string name = folder / "run";
  const auto [message, said] = diverged([&] {
    run(name, {{"rate", "1e6"}, {"steps", "60"}, {"save-every", "1"}, {"eval-every", "20"}});
  });
  CHECK((message == "nothing was thrown" || message.starts_with("train: ") ||
         message.starts_with("evaluate: ")));
  const Checkpoint last = CheckpointFolder(name + "/checkpoints").load([](const std::string&) {});
  CHECK(last.step > 0);
  CHECK(first_not_finite(last).empty());
}

TEST_CASE("checkpoint: one that is not finite is neither saved nor used") {
  const TemporaryFolder folder;
  const std::string unsaved = folder / "unsaved", name = folder / "run";
  Doubtful::spoiled_step = 6;
  const std::string message =
      diverged([&] {
        run(unsaved, {{"steps", "6"}, {"save-every", "3"}}, HastyFileSystem(), doubtful());
      }).first;
  Doubtful::spoiled_step = -1;
  CHECK(message.starts_with("save: step 6 is not finite: hidden."));
  CHECK(message.ends_with(" elements. Nothing was saved. Lower --rate."));
  CHECK(CheckpointFolder(unsaved + "/checkpoints").load([](const std::string&) {}).step == 3);

  REQUIRE(run(name, {{"steps", "4"}}) == 0);
  CheckpointFolder checkpoints(name + "/checkpoints");
  const auto none = [](const std::string&) {};
  for (const char* kind : {"model", "average", "state"}) {
    CAPTURE(kind);
    Checkpoint checkpoint = checkpoints.load(none);
    Checkpoint::Tensors& tensors = *kind == 'm'   ? checkpoint.model
                                   : *kind == 'a' ? checkpoint.average
                                                  : checkpoint.state;
    Tensor& spoiled = tensors.front().second;
    const Tensor whole = kernels::contiguous(spoiled);
    spoiled = Tensor::empty_like(whole);
    kernels::copy_into(spoiled, whole);
    kernels::fill(spoiled.slice(0, 1, 2), INFINITY);
    const std::string other = fmt::format("{}-{}", name, kind);
    std::filesystem::copy(
        name, other,
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
    ++checkpoint.step;
    CheckpointFolder(other + "/checkpoints").save(checkpoint, none);
    for (const char* verb : {"evaluate", "sample", "export", "resume"}) {
      CAPTURE(verb);
      const Outcome found = outcome_of(tiny_description(), {verb, other});
      CHECK(found.exit_code == 5);
      CHECK(holds(found.error, "checkpoint: step 5 had diverged before it was saved: "));
      CHECK(holds(found.error, " is inf at "));
    }
  }
}
