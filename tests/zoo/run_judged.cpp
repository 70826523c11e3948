// A model without a likelihood on the command line: trained, judged, reported.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tensor/allocator.h"
#include "tests/zoo/tiny_model.h"
#include "zoo/run/plan.h"
#include "zoo/run/training.h"

using namespace likely;

namespace {

// The tiny model, silent about its likelihood.
class SilentModel : public TinyModel {
 public:
  using TinyModel::TinyModel;
  Likelihood likelihood(const Tensor&, std::int64_t, Random&,
                        const std::function<void(std::int64_t)>&) override {
    return {};
  }
};

ModelDescription silent_description() {
  ModelDescription description = tiny_description();
  description.make = [](const Settings& settings, const DataInfo& data) {
    return std::make_unique<SilentModel>(settings, data);
  };
  return description;
}

struct Outcome {
  int exit_code;
  std::string out;
};
Outcome silent(std::vector<std::string> words) {
  words.insert(words.begin(), "tiny");
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  const Captured out(1), error(2);
  const int exit_code = run_model(silent_description(), static_cast<int>(argv.size()), argv.data());
  return {exit_code, out.text()};
}

}  // namespace

TEST_CASE(
    "judged run: figures in metrics, at the end of training, from evaluate and in the report") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const Outcome trained = silent({"train", "--data", "bars-4", "--steps", "20", "--eval-every",
                                  "10", "--eval-count", "50", "--out", run});
  REQUIRE(trained.exit_code == 0);
  CHECK(trained.out.starts_with("tiny on bars-4: 50 samples, "));
  CHECK(trained.out.find("templates covered, of 30") != std::string::npos);
  CHECK(trained.out.find("untrained") == std::string::npos);
  CHECK(read_file(run + "/metrics.jsonl").find("\"templates_covered\":") != std::string::npos);

  const Outcome judged = silent({"evaluate", run, "--count", "300", "--json", folder / "e.json"});
  REQUIRE(judged.exit_code == 0);
  CHECK(judged.out.starts_with("tiny on bars-4: 300 samples, "));
  CHECK(judged.out.find("untrained") != std::string::npos);
  const auto json = nlohmann::json::parse(read_file(folder / "e.json"));
  CHECK(json["count"] == 300);
  CHECK(json["share_within_31_flips"].is_number());
  CHECK(json["real"]["share_within_31_flips"] == 1);
  CHECK(json["untrained"]["share_within_31_flips"].is_number());
  CHECK(json["modes_covered"].is_null());
  CHECK(read_file(run + "/report.html").find("<h2>300 samples judged</h2>") != std::string::npos);
  CHECK(silent({"evaluate", run}).out.starts_with("tiny on bars-4: 5000 samples, "));
}

TEST_CASE("judged run: planned to the byte") {
  for (const char* data : {"shapes", "rings"}) {
    CAPTURE(data);
    const TemporaryFolder folder;
    const ModelDescription description = silent_description();
    const GivenSettings settings{{"data", {data, "--data"}},
                                 {"batch", {"5", "--batch"}},
                                 {"steps", {"4", "--steps"}},
                                 {"eval-every", {"2", "--eval-every"}},
                                 {"eval-count", {"300", "--eval-count"}}};
    const Configuration configuration = resolve(description, {}, settings);
    Allocator& cpu = allocator_of(Device::cpu);
    REQUIRE(cpu.counters().in_use == 0);
    HastyFileSystem files;
    {
      const Captured results(1);
      const RunDirectory run = RunDirectory::create(folder / "run", configuration);
      REQUIRE(train(description, configuration, run, Beginning::fresh,
                    {Verbosity::quiet, Output::text, &files}) == 0);
    }
    const Allocator::Counters counters = cpu.counters();
    const Plan planned = plan(description, configuration);
    CHECK(planned.peak_bytes == static_cast<std::int64_t>(counters.peak_in_use));
    CHECK(planned.held_bytes == static_cast<std::int64_t>(counters.peak_held));
  }
}
