// Settings: what a model lets its user choose, with a value for each preset.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "tensor/error.h"
#include "zoo/run/range.h"

namespace likely {

enum class Preset { quick, small, paper };  // ≤ 30 s, ≤ 15 min on two CPU cores, as published
const char* name_of(Preset preset);
// UsageError, beginning with `from` ("config.toml line 2", "--preset"), with the nearest name.
Preset preset_named(const std::string& name, const std::string& from);

using Value = std::variant<std::int64_t, double, std::string>;

// One setting: the option --name of the command line and the key `name` of config.toml. The three
// values have one type; text must be one of `words` where there are some.
struct Setting {
  std::string name;  // "hidden", "importance-samples"
  std::string help;  // one line, with the unit
  Value quick, small, paper;
  std::vector<std::string> words = {};
  Range range = {};  // of a number
  // Whether the bits of a training step depend on it. Where they do not, a run's sample, evaluate
  // and resume may have another value.
  bool decides_bits = true;
};

// A setting that no preset changes.
Setting fixed_setting(const std::string& name, const std::string& help, Value value,
                      std::vector<std::string> words = {});
Setting fixed_setting(const std::string& name, const std::string& help, Value value,
                      const Range& range);

// What networks are made of: so many layers or blocks, so many units or channels.
constexpr Range of_layers{1, 1000}, of_width{1, 65536};

// The settings that the trainer itself reads.
Setting steps_setting(std::int64_t quick, std::int64_t small, std::int64_t paper);
Setting batch_setting(std::int64_t quick, std::int64_t small, std::int64_t paper);
Setting rate_setting(double quick, double small, double paper);
Setting schedule_setting(const std::string& quick, const std::string& small,
                         const std::string& paper);  // constant, linear, cosine
// Steps in which the rate grows to its value; a model need not have it.
Setting warm_up_setting(std::int64_t quick, std::int64_t small, std::int64_t paper);

// Values by name, as resolved from preset, configuration file and command line. Asking for a name
// that was not declared throws.
class Settings {
 public:
  Settings() = default;
  Settings(std::vector<Setting> declared, Preset preset);

  std::int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;
  const std::string& text(const std::string& name) const;
  bool has(const std::string& name) const;
  // Changes a value; text such as "0.001" is read as the type of the setting. UsageError, beginning
  // with `from` ("config.toml line 3", "--rate"), where it cannot be.
  void set(const std::string& name, const Value& value, const std::string& from = "settings");

  struct Entry {
    Setting setting;
    Value value;
  };
  const std::vector<Entry>& all() const { return entries_; }  // in the order of declaration
  std::vector<std::string> names() const;

 private:
  const Entry& at(const std::string& name) const;

  std::vector<Entry> entries_;
};

// As config.toml and messages write it: numbers in the shortest form that reads back the same.
std::string to_string(const Value& value);

}  // namespace likely
