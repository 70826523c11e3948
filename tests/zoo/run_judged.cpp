// A model without a likelihood on the command line: trained, judged, reported.
#include "tests/zoo/tiny_run.h"

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

Outcome silent(const std::vector<std::string>& words) {
  return outcome_of(silent_description(), words);
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
    check_planned({{"data", data},
                   {"batch", "5"},
                   {"steps", "4"},
                   {"eval-every", "2"},
                   {"eval-count", "300"}},
                  silent_description());
  }
}
