// All models with all their presets, data sets and settings, as they stand.
#include <algorithm>
#include <limits>
#include <set>

#include "tests/zoo/data_files.h"
#include "tests/zoo/tiny_run.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/observer.h"
#include "zoo/run/png.h"
#include "zoo/run/program.h"

namespace likely {
ModelDescription dcgan_description();
ModelDescription ddpm_description();
ModelDescription pixelcnn_description();
ModelDescription plain_pixelcnn_description();
ModelDescription vae_description();
ModelDescription wgan_description();
ModelDescription wgan_gp_description();
}  // namespace likely

using namespace likely;

namespace {

const std::vector<ModelDescription>& models() {
  static const std::vector<ModelDescription> all = {
      dcgan_description(), ddpm_description(), pixelcnn_description(), plain_pixelcnn_description(),
      vae_description(),   wgan_description(), wgan_gp_description()};
  return all;
}

std::vector<Setting> settings_of(const ModelDescription& model) {
  std::vector<Setting> settings = run_settings(model);
  settings.insert(settings.end(), model.settings.begin(), model.settings.end());
  return settings;
}

bool is_number(const Setting& setting) {
  return !std::holds_alternative<std::string>(setting.quick);
}

// Texts that are no numbers of a setting.
std::vector<std::string> outside(const Range& range) {
  return {fmt::format("{}", range.lowest - 1),
          fmt::format("{}", range.highest * 2),
          "nan",
          "-nan",
          "inf",
          "-inf",
          "1e308",
          "-1e308",
          "1e999",
          "9223372036854775808",
          "-9223372036854775809",
          "18446744073709551617",
          "",
          "0x10",
          "1 ",
          std::string(100000, '9'),
          "\x1b[2J"};
}

}  // namespace

TEST_CASE("presets: the models tested here are those of zoo/models") {
  std::set<std::string> tested, files;
  for (const ModelDescription& model : models())
    tested.insert(model.name);
  for (const auto& entry : std::filesystem::directory_iterator(LIKELY_SOURCE "/zoo/models"))
    if (entry.path().extension() == ".cpp")
      files.insert(entry.path().stem().string());
  CHECK(tested == files);
}

TEST_CASE("presets: each runs on each data set that its model's help lists") {
  const TemporaryFolder folder;
  write_pictures(folder);
  const Device meta = Device::meta;
  for (const ModelDescription& model : models())
    for (const std::string& data_name : model.data)
      for (const char* preset : {"quick", "small", "paper"}) {
        CAPTURE(model.name);
        CAPTURE(data_name);
        CAPTURE(preset);
        const Configuration configuration =
            resolve(model, {},
                    given({{"preset", preset}, {"data", data_name}, {"data-dir", folder.path()}}));
        const std::unique_ptr<DataSet> data = data_of(configuration, meta);
        Trainer trainer(model, configuration, *data, meta);
        trainer.turn();
        CHECK(trainer.parameter_count() > 0);
      }
}

TEST_CASE("presets: `plan` serves each with the data it takes by itself") {
  for (const ModelDescription& model : models())
    for (const char* preset : {"quick", "small", "paper"}) {
      CAPTURE(model.name);
      CAPTURE(preset);
      const Outcome planned = outcome_of(model, {"plan", "--preset", preset, "--json"});
      CHECK(planned.exit_code == 0);
      CHECK(planned.error.empty());
    }
}

TEST_CASE("settings: each takes the values of its presets and both ends of its range") {
  for (const ModelDescription& model : models())
    for (const Setting& setting : settings_of(model)) {
      CAPTURE(model.name);
      CAPTURE(setting.name);
      std::vector<std::string> values = {to_string(setting.quick), to_string(setting.small),
                                         to_string(setting.paper)};
      if (is_number(setting)) {
        CHECK(setting.range.lowest < setting.range.highest);
        const bool whole = std::holds_alternative<std::int64_t>(setting.quick),
                   longest = setting.range.highest >= 0x1p63;
        values.push_back(fmt::format("{}", setting.range.lowest));
        values.push_back(whole && longest
                             ? fmt::format("{}", std::numeric_limits<std::int64_t>::max())
                             : fmt::format("{}", setting.range.highest));
      }
      for (const std::string& value : values)
        CHECK_NOTHROW(Settings({setting}, Preset::quick).set(setting.name, value));
    }
}

TEST_CASE("settings: a number outside its range is refused with the range, whatever it is") {
  for (const ModelDescription& model : models())
    for (const Setting& setting : settings_of(model)) {
      if (!is_number(setting))
        continue;
      CAPTURE(model.name);
      CAPTURE(setting.name);
      for (const std::string& text : outside(setting.range)) {
        CAPTURE(text.substr(0, 40));
        const std::string option = "--" + setting.name;
        const std::string message = message_of<UsageError>([&] {
          resolve(model, {}, {{setting.name, {text, option}}});
        });
        CHECK(message.starts_with(option + ": "));
        CHECK(message.find(fmt::format("Use {} to ", setting.range.lowest)) != std::string::npos);
        CHECK(message.size() < 300);
        CHECK(message.find('\x1b') == std::string::npos);
      }
      const Outcome trained = outcome_of(model, {"train", "--" + setting.name, "nan"});
      CHECK(trained.exit_code == 1);
      CHECK(trained.out.empty());
      CHECK(trained.error.find(" to ") != std::string::npos);
    }
}

TEST_CASE("options: a number of any verb outside its range is refused with the range") {
  struct Option {
    const char *verb, *name;
    Range range;
  };
  const Range counts{1, 1e6};
  for (const auto& [verb, name, range] :
       {Option{"sample", "--count", counts}, Option{"sample", "--seed", any_seed},
        Option{"sample", "--label", {}}, Option{"sample", "--guidance", {0, 100}},
        Option{"evaluate", "--count", counts}, Option{"evaluate", "--samples", counts},
        Option{"evaluate", "--importance-samples", counts}, Option{"audit", "--count", counts},
        Option{"check-gradients", "--directions", counts}, Option{"resume", "--steps", {0, 1e9}}}) {
    CAPTURE(verb);
    CAPTURE(name);
    const TemporaryFolder folder;
    if (std::string(verb) == "resume")
      REQUIRE(run(folder / "run", {{"steps", "1"}}) == 0);
    for (const std::string& text : outside(range)) {
      if (text.empty())
        continue;  // an option without a value, which the command line says itself
      CAPTURE(text.substr(0, 40));
      std::vector<std::string> words{verb, std::string(name) + "=" + text};
      if (std::string(verb) != "check-gradients")
        words.insert(words.begin() + 1, folder / "run");
      const Outcome outcome = outcome_of(tiny_description(), words);
      CHECK(outcome.exit_code == 1);
      CHECK(outcome.out.empty());
      CHECK(outcome.error.find(fmt::format("Use {} to ", range.lowest)) != std::string::npos);
      CHECK(outcome.error.size() < 400);
    }
  }
  CHECK(outcome_of(tiny_description(), {"sample", "run", "--count", "0"})
            .error.find("--count: 0 is below 1. Use 1 to 1000000. ") != std::string::npos);
}
