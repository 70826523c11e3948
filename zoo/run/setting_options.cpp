#include "zoo/run/setting_options.h"

#include "tensor/nearest.h"
#include "tensor/streams.h"

namespace likely {
namespace {

std::string help(const Setting& setting) {
  const std::string quick = to_string(setting.quick), small = to_string(setting.small),
                    paper = to_string(setting.paper);
  const std::string words = setting.words.empty() ? "" : fmt::format(": {}", joined(setting.words));
  if (quick == small && small == paper)
    return fmt::format("{}{}{}", setting.help, words, quick.empty() ? "" : " [" + quick + "]");
  return fmt::format("{}{} [quick {}, small {}, paper {}]", setting.help, words, quick, small,
                     paper);
}

// Where a preset is given next to a configuration file.
std::string what_wins(const Configuration& configuration, const GivenSettings& file,
                      const std::string& file_name) {
  std::vector<std::string> left;
  for (const auto& [setting, value] : configuration.settings.all())
    if (const bool same = setting.quick == setting.small && setting.small == setting.paper;
        !same && !file.contains(setting.name))
      left.push_back(setting.name);
  return fmt::format("--preset {}: the settings in {} win over the preset's, which decides {}.",
                     name_of(configuration.preset), file_name,
                     left.empty() ? "nothing here" : "only " + joined(left));
}

}  // namespace

void add_data_changed(CLI::App& verb, bool& given) {
  verb.add_flag("--data-changed", given, "go on though the data is not what the run learnt from")
      ->group("Run");
}

void SettingOptions::add_to(CLI::App& verb, const ModelDescription& description) {
  add(verb, "preset", "quick: 30 s, small: 15 min on two CPU cores, paper: as published [quick]",
      "Run");
  for (const Setting& setting : run_settings(description))
    add(verb, setting.name, help(setting), "Run");
  for (const Setting& setting : description.settings)
    add(verb, setting.name, help(setting), "Model");
  verb.add_option("--config", file_,
                  "read settings from this file: they win over the preset's, options over both")
      ->type_name("FILE")
      ->group("Run");
}

void SettingOptions::add_changes_to(CLI::App& verb, const ModelDescription& description) {
  add(verb, "threads", "CPU threads; any number gives the same bits", "Run");
  add(verb, "data-dir", "folder of downloaded data", "Run");
  for (const Setting& setting : description.settings)
    if (!setting.decides_bits && setting.name != "steps")
      add(verb, setting.name, setting.help + " [the run's]", "Model");
}

void SettingOptions::add(CLI::App& verb, const std::string& name, const std::string& help,
                         const char* group) {
  verb.add_option("--" + name, values_[name], help)->type_name("")->group(group);
}

GivenSettings SettingOptions::given() const {
  GivenSettings given;
  for (const auto& [name, value] : values_)
    if (value)
      given[name] = {*value, "--" + name};
  return given;
}

Configuration SettingOptions::resolve(const ModelDescription& description) const {
  if (file_.empty())
    return likely::resolve(description, {}, given());
  const GivenSettings file = read_configuration_file(file_), line = given();
  const Configuration configuration = likely::resolve(description, file, line);
  if (line.contains("preset"))
    to_stderr("{}\n", what_wins(configuration, file, file_));
  return configuration;
}

}  // namespace likely
