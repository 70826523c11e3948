#include "zoo/run/settings.h"

#include <algorithm>

#include "tensor/nearest.h"
#include "tensor/shown.h"

namespace likely {
namespace {

const std::vector<std::string> preset_names{"quick", "small", "paper"};

// The text as a number of the setting's type and range.
template <class T>
Value number_of(const Setting& setting, const std::string& text, const std::string& from) {
  T value{};
  const std::string wrong = read_number(text, setting.range, value);
  require<UsageError>(wrong.empty(), "{}: {}.",
                      from == "--" + setting.name ? from : from + ": " + setting.name, wrong);
  return value;
}

// The value in the type of the setting, which takes it.
Value converted(const Setting& setting, const Value& value, const std::string& from) {
  const std::string text = to_string(value);
  if (std::holds_alternative<std::int64_t>(setting.quick))
    return number_of<std::int64_t>(setting, text, from);
  if (std::holds_alternative<double>(setting.quick))
    return number_of<double>(setting, text, from);
  const auto& words = setting.words;
  require<UsageError>(words.empty() || std::count(words.begin(), words.end(), text),
                      "{}: {} cannot be {}. Did you mean {}? There are {}.", from, setting.name,
                      in_quotes(text), nearest(text, words), joined(words));
  return text;
}

}  // namespace

const char* name_of(Preset preset) { return preset_names[static_cast<int>(preset)].c_str(); }

Preset preset_named(const std::string& name, const std::string& from) {
  const auto found = std::find(preset_names.begin(), preset_names.end(), name);
  require<UsageError>(found != preset_names.end(),
                      "{}: there is no preset {}. Did you mean {}? There are {}.", from,
                      in_quotes(name), nearest(name, preset_names), joined(preset_names));
  return static_cast<Preset>(found - preset_names.begin());
}

Setting fixed_setting(const std::string& name, const std::string& help, Value value,
                      std::vector<std::string> words) {
  return {name, help, value, value, value, std::move(words)};
}

Setting fixed_setting(const std::string& name, const std::string& help, Value value,
                      const Range& range) {
  return {name, help, value, value, value, {}, range};
}

Setting steps_setting(std::int64_t quick, std::int64_t small, std::int64_t paper) {
  Setting setting{"steps", "steps of training", quick, small, paper};
  setting.decides_bits = false;
  return setting;
}

Setting batch_setting(std::int64_t quick, std::int64_t small, std::int64_t paper) {
  return {"batch", "images a step", quick, small, paper, {}, {1, 1e6}};
}

Setting rate_setting(double quick, double small, double paper) {
  return {"rate", "learning rate", quick, small, paper, {}, {0, 1e6}};
}

Setting schedule_setting(const std::string& quick, const std::string& small,
                         const std::string& paper) {
  return {"schedule", "of the rate over the run",      quick, small,
          paper,      {"constant", "linear", "cosine"}};
}

Setting warm_up_setting(std::int64_t quick, std::int64_t small, std::int64_t paper) {
  return {"warm-up", "steps in which the rate grows to its value", quick, small, paper};
}

Settings::Settings(std::vector<Setting> declared, Preset preset) {
  for (Setting& setting : declared) {
    const Value& value = preset == Preset::quick   ? setting.quick
                         : preset == Preset::small ? setting.small
                                                   : setting.paper;
    entries_.push_back({setting, value});
  }
}

std::int64_t Settings::integer(const std::string& name) const {
  return std::get<std::int64_t>(at(name).value);
}

double Settings::number(const std::string& name) const { return std::get<double>(at(name).value); }

const std::string& Settings::text(const std::string& name) const {
  return std::get<std::string>(at(name).value);
}

void Settings::set(const std::string& name, const Value& value, const std::string& from) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.setting.name == name; });
  require<UsageError>(found != entries_.end(), "{}: there is no setting {}. Did you mean {}?", from,
                      in_quotes(name), nearest(name, names()));
  found->value = converted(found->setting, value, from);
}

bool Settings::has(const std::string& name) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.setting.name == name; });
}

std::vector<std::string> Settings::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_)
    names.push_back(entry.setting.name);
  return names;
}

const Settings::Entry& Settings::at(const std::string& name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.setting.name == name; });
  require(found != entries_.end(), "settings: no setting is called \"{}\". Declare it.", name);
  return *found;
}

std::string to_string(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value))
    return *text;
  if (const auto* whole = std::get_if<std::int64_t>(&value))
    return fmt::format("{}", *whole);
  return fmt::format("{}", std::get<double>(value));
}

}  // namespace likely
