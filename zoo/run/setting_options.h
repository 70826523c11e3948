// SettingOptions: settings as options of a verb, and what the user gave of them, by name.
#pragma once
#include <CLI/CLI.hpp>

#include "zoo/run/configuration.h"

namespace likely {

// The flag --data-changed, of verbs that read a run's data.
void add_data_changed(CLI::App& verb, bool& given);

class SettingOptions {
 public:
  // All settings of the run and of its model, --preset and --config.
  void add_to(CLI::App& verb, const ModelDescription& description);
  // Those that a run which is there may have otherwise, but for its steps.
  void add_changes_to(CLI::App& verb, const ModelDescription& description);
  void add(CLI::App& verb, const std::string& name, const std::string& help, const char* group);

  GivenSettings given() const;
  // The preset, then the file of --config, then what was given. A preset that was given next to a
  // file gets a line on stderr that says what wins.
  Configuration resolve(const ModelDescription& description) const;

 private:
  std::map<std::string, std::optional<std::string>> values_;
  std::string file_;
};

}  // namespace likely
