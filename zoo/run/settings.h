// Settings: what a model lets its user choose, with a value for each preset.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace likely {

enum class Preset { quick, small, paper };  // ≤ 30 s, ≤ 15 min on two CPU cores, as published

using Value = std::variant<std::int64_t, double, std::string>;

// One setting: the option --name of the command line and the key `name` of config.toml. The three
// values have one type; text must be one of `words`.
struct Setting {
  std::string name;  // "hidden", "importance-samples"
  std::string help;  // one line, with the unit
  Value quick, small, paper;
  std::vector<std::string> words = {};  // of a text setting: what it may be
  double lowest = 0;                    // of a number
};

// Values by name, as resolved from preset, configuration file and command line. Asking for a name
// that the model did not declare throws.
class Settings {
 public:
  Settings() = default;
  Settings(const std::vector<Setting>& declared, Preset preset);

  std::int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;
  const std::string& text(const std::string& name) const;
  // Changes a value; text such as "0.001" is read as the type of the setting. UsageError where it
  // cannot be.
  void set(const std::string& name, const Value& value);
  const std::map<std::string, Value>& all() const { return values_; }

 private:
  const Value& at(const std::string& name) const;

  std::vector<Setting> declared_;
  std::map<std::string, Value> values_;
};

std::string name_of(Preset preset);

}  // namespace likely
