// A model without a likelihood on the command line: trained, judged, reported.
#include <cmath>
#include <cstdlib>

#include "tests/zoo/adversarial.h"
#include "tests/zoo/data_files.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/classifier.h"

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

std::unique_ptr<DataSet> grey_omniglot(const std::string& directory) {
  return make_data_set("omniglot", {.directory = directory, .binarisation = Binarisation::none});
}

// Learned the test images by heart, and recites them in order.
class Copyist : public SilentModel {
 public:
  using SilentModel::SilentModel;
  Tensor sample(std::int64_t count, Random&) override {
    const auto data = grey_omniglot(default_data_directory());
    std::vector<std::int64_t> rows;
    while (static_cast<std::int64_t>(rows.size()) < count)
      rows.push_back(next_++ % data->size(Split::test));
    return data->batch(Split::test, rows);
  }

 private:
  std::int64_t next_ = 0;
};

ModelDescription copyist_description() {
  ModelDescription description = silent_description();
  description.data = {"omniglot"};
  description.make = [](const Settings& settings, const DataInfo& data) {
    return std::make_unique<Copyist>(settings, data);
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

// Of omniglot, whose classifier trains in seconds.
TEST_CASE("judged run: labelled data, by a classifier that is trained once") {
  const char* const directory = real_data();
  if (!directory)
    return;
  const TemporaryFolder folder;
  setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  const auto data = grey_omniglot(directory);
  const std::int64_t count = data->size(Split::test);
  // The JSON of a run's evaluation, and what stderr had.
  const auto evaluated = [&](const ModelDescription& description,
                             std::vector<std::string> settings) {
    const std::string run = folder / description.name;
    settings.insert(settings.begin(),
                    {"train", "--data", "omniglot", "--binarisation", "none", "--steps", "2",
                     "--batch", "16", "--eval-count", "8", "--threads", "1", "--out", run});
    REQUIRE(outcome_of(description, settings).exit_code == 0);
    const Outcome judged = outcome_of(
        description,
        {"evaluate", run, "--count", fmt::format("{}", count), "--json", folder / "e.json"});
    REQUIRE(judged.exit_code == 0);
    return std::pair(nlohmann::json::parse(read_file(folder / "e.json")), judged.error);
  };

  const auto [gan, first_said] = evaluated(wgan_gp_description(), {"--width", "2"});
  CHECK(first_said.find("training one for " + folder.path()) != std::string::npos);
  CHECK(gan["model"] == "wgan-gp");
  CHECK(gan["data"] == "omniglot (8 alphabets), grey");
  CHECK(gan["count"] == 484);
  for (const char* key : {"modes_covered", "share_within_4_sd", "templates_covered",
                          "share_within_31_flips", "kl_templates_nats"}) {
    CAPTURE(key);
    CHECK(gan.at(key).is_null());
  }
  for (const char* key : {"w1_estimate", "classes_covered", "kl_classes_nats", "frechet_distance",
                          "frechet_floor", "precision", "recall"}) {
    CAPTURE(key);
    CHECK(gan.at(key).is_number());
  }
  CHECK(gan["frechet_features"] == "conv5x5-64-128");
  CHECK(gan["frechet_floor"] == gan["real"]["frechet_distance"]);
  CHECK(gan["real"]["precision"] > 0.5);
  for (const nlohmann::json& noise : {gan, gan["untrained"]}) {
    CHECK(noise["frechet_distance"] > 10 * gan["frechet_floor"].get<double>());
    CHECK(noise["classes_covered"] < gan["real"]["classes_covered"]);
    CHECK(noise["kl_classes_nats"] > gan["real"]["kl_classes_nats"]);
    CHECK(noise["kl_classes_nats"] < 1.0001 * std::log(242));  // one class alone
  }

  const auto [copy, then_said] = evaluated(copyist_description(), {});
  CHECK(then_said.find("training one") == std::string::npos);
  CHECK(copy["frechet_floor"] == gan["frechet_floor"]);
  CHECK(std::abs(copy["frechet_distance"].get<double>()) <
        1e-6 * gan["frechet_floor"].get<double>());
  CHECK(copy["precision"] == 1);
  CHECK(copy["recall"] == 1);
  // The training images are 16 of each class, so the KL is ln 242 less the entropy of the classes
  // seen.
  const auto classifier = cached_classifier(*data, [](const std::string&) {}).classifier;
  const Classifier::Seen seen = classifier->look(data->batch(Split::test, rows_up_to(count)));
  std::map<std::int64_t, double> histogram;
  for (const std::int64_t label : seen.classes)
    histogram[label] += 1.0 / static_cast<double>(count);
  double entropy = 0;
  for (const auto& [label, share] : histogram)
    entropy -= share * std::log(share);
  CHECK(copy["classes_covered"] == histogram.size());
  CHECK(copy["kl_classes_nats"].get<double>() ==
        doctest::Approx(std::log(242) - entropy).epsilon(1e-9));
  unsetenv("XDG_CACHE_HOME");
}
