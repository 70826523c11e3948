// Data that changes under a run's name: it is noticed wherever the data is read.
#include "tests/zoo/data_files.h"
#include "tests/zoo/tiny_run.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/data_facts.h"
#include "zoo/run/png.h"

using namespace likely;

namespace {

void write_picture(const TemporaryFolder& folder, int number, std::uint8_t grey) {
  std::filesystem::create_directories(folder / "data/pngs");
  write_png(fmt::format("{}/{}.png", folder / "data/pngs", number),
            Tensor::of({1, 1, 1, 3}, std::vector<std::uint8_t>(3, grey)), {1});
}

ModelDescription of_pictures() {
  ModelDescription description = tiny_description();
  description.data = {"pngs-32"};
  return description;
}

}  // namespace

TEST_CASE(
    "data that changed: resume, evaluate and audit say so, and go on where they are told to") {
  const TemporaryFolder folder;
  for (int i = 0; i < 40; ++i)
    write_picture(folder, i, static_cast<std::uint8_t>(5 * i));
  const auto does = [&](std::vector<std::string> words) {
    words.insert(words.begin() + 1, folder / "run");
    return outcome_of(of_pictures(), words);
  };
  REQUIRE(outcome_of(of_pictures(), {"train", "--out", folder / "run", "--data-dir",
                                     folder / "data", "--steps", "2", "-q"})
              .exit_code == 0);
  CHECK(does({"resume", "--steps", "3", "-q"}).exit_code == 0);
  CHECK(does({"evaluate", "-q"}).exit_code == 0);

  const auto refused = [&](const std::string& before, const std::string& after) {
    const std::string configuration = read_file(folder / "run/config.toml");
    for (const char* verb : {"resume", "evaluate", "audit"}) {
      const Outcome outcome = does({verb, "-q"});
      CHECK(outcome.exit_code == 2);
      CHECK(outcome.out.empty());
      CHECK(outcome.error.starts_with(fmt::format(
          "error: {}: the data is not what this run learnt from: that was {}", verb, before)));
      CHECK(outcome.error.find("; now there are " + after) != std::string::npos);
      CHECK(outcome.error.ends_with("--data-changed.\n"));
    }
    CHECK(read_file(folder / "run/config.toml") == configuration);
    CHECK(does({"sample", "--count", "1"}).exit_code == 0);  // these read no data
    CHECK(does({"export"}).exit_code == 0);
  };
  const auto pictures = [](int all) {
    return fmt::format("images of pngs, {} files, middle square by area to 32x32 (sha256 ", all);
  };

  write_picture(folder, 7, 200);  // another picture under an old name
  refused("32 + 3 + 5 " + pictures(40), "32 + 3 + 5 " + pictures(40));
  write_picture(folder, 7, 35);  // as it was
  CHECK(does({"evaluate", "-q"}).exit_code == 0);
  write_picture(folder, 40, 99);  // one more
  refused("32 + 3 + 5 " + pictures(40), "32 + 3 + 6 " + pictures(41));

  CHECK(does({"evaluate", "-q", "--data-changed"}).exit_code == 0);
  CHECK(does({"audit", "-q", "--data-changed"}).exit_code != 2);
  CHECK(does({"resume", "--steps", "4", "-q", "--data-changed"}).exit_code == 0);
  CHECK(does({"resume", "--steps", "5", "-q"}).exit_code == 0);  // it has learnt from it since
}

TEST_CASE("data that changed: what an older program did not record is taken for the same") {
  const auto data = make_data_set("bars-4", {});
  std::map<std::string, std::string> facts;
  record_data(facts_of(*data), facts);
  CHECK(facts.at("data_content") == "generated, version 1");
  CHECK(facts.at("data_images") == "endless + 10000 + 10000");
  const DataFacts whole = *recorded_data(facts);
  facts.erase("data_content");
  const DataFacts older = *recorded_data(facts);
  CHECK(older.content.empty());
  DataFacts other = whole;
  other.content = "generated, version 2";
  CHECK_NOTHROW(require_same_data("resume", older, other));
  CHECK_NOTHROW(require_same_data("resume", whole, whole));
  CHECK_THROWS_AS(require_same_data("resume", whole, other), DataError);
}
