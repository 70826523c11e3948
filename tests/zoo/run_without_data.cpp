// A trained run is sampled, interpolated and exported where its data is gone.
#include "tensor/safetensors.h"
#include "tests/zoo/data_files.h"
#include "tests/zoo/tiny_run.h"
#include "zoo/run/data_facts.h"
#include "zoo/run/png.h"

using namespace likely;

namespace {

// Has a z to go along.
class Interpolating : public TinyModel {
 public:
  using TinyModel::TinyModel;
  Tensor interpolate(std::int64_t rows, std::int64_t columns, Random& random) override {
    return sample(rows * columns, random);
  }
};

ModelDescription on_pictures() {
  ModelDescription description = tiny_description();
  description.data = {"pngs-32", "rings", "shapes"};
  description.make = [](const Settings& settings, const DataInfo& data) {
    return std::make_unique<Interpolating>(settings, data);
  };
  return description;
}

}  // namespace

TEST_CASE("sample, export, report: the same bytes with the run's data and without it") {
  const TemporaryFolder folder;
  write_pictures(folder);
  const std::string run_folder = folder / "run", data = folder / "pngs";
  const auto go = [&](const std::vector<std::string>& words) {
    const Outcome outcome = outcome_of(on_pictures(), words);
    CAPTURE(outcome.error);
    REQUIRE(outcome.exit_code == 0);
  };
  go({"train", "--out", run_folder, "--data-dir", folder.path(), "--steps", "3", "-q"});
  const auto results_in = [&](const std::string& name) {
    go({"sample", run_folder, "--count", "9", "--out", folder / name + ".png"});
    go({"sample", run_folder, "--count", "9", "--interpolate", "--out", folder / name + "-z.png"});
    go({"export", run_folder, "--out", folder / name + ".safetensors"});
    go({"report", run_folder});
    return read_file(folder / name + ".png") + read_file(folder / name + "-z.png") +
           read_file(folder / name + ".safetensors") + read_file(run_folder + "/report.html");
  };
  const std::string with = results_in("with");
  std::filesystem::rename(data, folder / "moved");
  CHECK((results_in("without") == with));
  const Outcome evaluate = outcome_of(on_pictures(), {"evaluate", run_folder});
  CHECK(evaluate.exit_code == 2);
  CHECK(evaluate.error.find(data) != std::string::npos);
}

TEST_CASE("data facts: what was recorded is read again, and what cannot be is refused") {
  std::map<std::string, std::string> facts{{"seed", "1"}};
  CHECK_FALSE(recorded_data(facts));
  record_data({"bars-4", {4, 4, 1}, 2, 0}, facts);
  CHECK(facts.at("data_image") == "4 4 1");
  const DataFacts read = *recorded_data(facts);
  CHECK(read.name == "bars-4");
  CHECK(read.image == Shape{4, 4, 1});
  CHECK(read.levels == 2);
  CHECK(read.classes == 0);
  for (const auto& [key, value] : {std::pair("data_image", "4 4"),
                                   {"data_image", "4 4 -1"},
                                   {"data_image", "4 4 1 1"},
                                   {"data_image", "99999999 4 1"},
                                   {"data_levels", "257"},
                                   {"data_classes", "ten"}}) {
    CAPTURE(value);
    auto changed = facts;
    changed[key] = value;
    CHECK_THROWS_AS(recorded_data(changed), DataError);
  }
}
