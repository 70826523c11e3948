#include "zoo/run/configuration.h"

#include <algorithm>

#include "kernels/available_cpus.h"

#include "tensor/file.h"
#include "tensor/shown.h"

namespace likely {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    if (is_control(c))
      result += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      result += c;
  }
  return result + '"';
}

std::string toml_value(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value))
    return quoted(*text);
  const std::string number = to_string(value);
  const bool whole = number.find_first_of(".en") == std::string::npos;
  return std::holds_alternative<double>(value) && whole ? number + ".0" : number;
}

// Reads one line of a file; all failures name it.
class TomlLine {
 public:
  TomlLine(const std::string& line, std::string place) : line_(line), place_(std::move(place)) {}

  bool blank() {
    skip_space();
    return at_end();
  }

  std::string key() {
    const std::size_t begin = position_;
    while (position_ < line_.size() &&
           (std::isalnum(static_cast<unsigned char>(line_[position_])) || line_[position_] == '-' ||
            line_[position_] == '_'))
      ++position_;
    require<DataError>(position_ > begin && position_ - begin <= 100,
                       "{}: a setting begins with its name, such as `rate = 0.001`.", place_);
    const std::string name = line_.substr(begin, position_ - begin);
    skip_space();
    require<DataError>(position_ < line_.size() && line_[position_] == '=',
                       "{}: after the name {} comes `=` and a value.", place_, name);
    ++position_;
    return name;
  }

  std::string value() {
    skip_space();
    require<DataError>(!at_end(), "{}: the value is missing.", place_);
    const char first = line_[position_];
    const std::string result = first == '"' || first == '\'' ? text(first) : word();
    skip_space();
    require<DataError>(at_end(), "{}: one value a line; {} is left over.", place_,
                       in_quotes(std::string_view(line_).substr(position_)));
    return result;
  }

 private:
  bool at_end() const { return position_ == line_.size() || line_[position_] == '#'; }
  void skip_space() {
    while (position_ < line_.size() && std::isspace(static_cast<unsigned char>(line_[position_])))
      ++position_;
  }

  std::string word() {
    const std::size_t end = std::min(line_.find_first_of(" \t\r#", position_), line_.size());
    const std::string result = line_.substr(position_, end - position_);
    require<DataError>(result.find_first_of("[]{}\"'=") == std::string::npos,
                       "{}: {} is no number or word. Quote texts; lists and tables have no "
                       "meaning here.",
                       place_, in_quotes(result));
    position_ = end;
    return result;
  }

  std::string text(char quote) {
    std::string result;
    for (++position_; position_ < line_.size(); ++position_) {
      const char c = line_[position_];
      require<DataError>(c == '\t' || !is_control(c),
                         "{}: a control character in a text. Write it as \\u00.. in double quotes.",
                         place_);
      if (c == quote) {
        ++position_;
        return result;
      }
      if (c == '\\' && quote == '"')
        result += escaped();
      else
        result += c;
    }
    fail<DataError>("{}: the text does not end with {}.", place_, quote);
  }

  char escaped() {
    const char c = ++position_ < line_.size() ? line_[position_] : '\0';
    if (c == '"' || c == '\\')
      return c;
    if (c == 'n')
      return '\n';
    if (c == 't')
      return '\t';
    if (c == 'u' && position_ + 4 < line_.size() && line_.compare(position_ + 1, 2, "00") == 0) {
      const std::string digits = line_.substr(position_ + 3, 2);
      if (digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos &&
          digits[0] < '8') {
        position_ += 4;
        return static_cast<char>(std::stoi(digits, nullptr, 16));
      }
    }
    fail<DataError>("{}: unknown escape in a text. Use \\\" \\\\ \\n \\t or single quotes.",
                    place_);
  }

  const std::string& line_;
  std::string place_;
  std::size_t position_ = 0;
};

}  // namespace

std::vector<Setting> run_settings(const ModelDescription& description) {
  // Intervals follow the preset's steps, not --steps: so a run that is extended has those it would
  // have had.
  const auto steps = std::find_if(description.settings.begin(), description.settings.end(),
                                  [](const Setting& setting) { return setting.name == "steps"; });
  const auto every = [&](const char* name, const char* help, std::int64_t parts) {
    const auto part = [&](const Value& value) {
      return Value(std::max<std::int64_t>(1, std::get<std::int64_t>(value) / parts));
    };
    Setting setting{name, help, part(steps->quick), part(steps->small), part(steps->paper)};
    setting.range.lowest = 1;
    setting.decides_bits = false;
    return setting;
  };
  std::vector<Setting> settings{
      fixed_setting("data", "data set", description.data.front(), description.data),
      fixed_setting("data-dir", "folder of data files; empty: $LIKELY_DATA, else data/", ""),
      fixed_setting("binarisation", "of grey images; usual: as the data set is mostly used",
                    "usual", {"usual", "sampled", "thresholded", "fixed", "none"}),
      fixed_setting("augment", "of training images in colour: mirror half of them", "none",
                    {"none", "mirror"}),
      fixed_setting("data-seed", "decides validation and test images", std::int64_t{17}, any_seed),
      fixed_setting("seed", "decides every random number of the run", std::int64_t{1}, any_seed),
      fixed_setting("device", "where to compute", "auto", {"auto", "cpu", "cuda"}),
      fixed_setting("threads", "CPU threads; any number gives the same bits",
                    std::int64_t{kernels::default_threads()}, Range{1, 1024}),
      fixed_setting("precision", "of products and convolutions", "f32", {"f32", "tf32", "bf16"}),
      fixed_setting("kernels", "own, vendor, fastest, fastest-vendor, or by family: matmul=vendor",
                    "own"),
      fixed_setting("graphs",
                    "steps on a GPU: recorded once and replayed (on), or launch by launch (off); "
                    "the same bits",
                    "on", {"on", "off"}),
      fixed_setting("log-every", "steps between lines of metrics.jsonl", std::int64_t{1},
                    Range{1, 1e9}),
      every("eval-every", "steps between evaluations on test images", 20),
      fixed_setting("eval-count", "test images, or samples, of an evaluation while training",
                    std::int64_t{1000}, Range{1, 1e6}),
      every("sample-every", "steps between pictures of samples", 10),
      every("save-every", "steps between checkpoints", 10)};
  for (Setting& setting : settings)
    for (const char* name : {"threads", "log-every", "eval-count", "data-dir", "graphs"})
      if (setting.name == name)
        setting.decides_bits = false;
  return settings;
}

Configuration resolve(const ModelDescription& description, const GivenSettings& file,
                      const GivenSettings& command_line) {
  const auto given = [&](const std::string& name) -> const Given* {
    if (const auto found = command_line.find(name); found != command_line.end())
      return &found->second;
    const auto found = file.find(name);
    return found == file.end() ? nullptr : &found->second;
  };
  Configuration configuration;
  configuration.model = description.name;
  if (const Given* preset = given("preset"))
    configuration.preset = preset_named(preset->value, preset->from);

  std::vector<Setting> declared = run_settings(description);
  declared.insert(declared.end(), description.settings.begin(), description.settings.end());
  Settings settings(declared, configuration.preset);
  if (const Given* data = given("data"))
    settings.set("data", data->value, data->from);
  if (description.for_data)
    description.for_data(settings, configuration.preset, settings.text("data"));
  for (const GivenSettings* source : {&file, &command_line})
    for (const auto& [name, what] : *source) {
      if (name == "model")
        require<UsageError>(what.value == description.name,
                            "{}: this configuration is for {}, not for {}.", what.from,
                            shown(what.value), description.name);
      else if (name != "preset")
        settings.set(name, what.value, what.from);
    }
  configuration.settings = std::move(settings);
  return configuration;
}

std::string Configuration::to_toml() const {
  std::string text = fmt::format(
      "# All settings of this run. `likely train {0} --config config.toml` runs it again.\n"
      "model = \"{0}\"\npreset = \"{1}\"\n",
      model, name_of(preset));
  for (const auto& [setting, value] : settings.all())
    text += fmt::format("\n# {}\n{} = {}\n", setting.help, setting.name, toml_value(value));
  return text;
}

std::string Configuration::hash() const {
  std::string text = "model = " + model + '\n';
  for (const auto& [setting, value] : settings.all())
    if (setting.decides_bits)
      text += fmt::format("{} = {}\n", setting.name, toml_value(value));
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a, 64 bits
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return fmt::format("{:016x}", hash);
}

GivenSettings read_toml(const std::string& text, const std::string& file_name) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  GivenSettings given;
  std::size_t begin = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
  for (int number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + (text.compare(end, 2, "\r\n") == 0 ? 2 : 1);
    const std::string place = fmt::format("{} line {}", file_name, number);
    TomlLine reader(line, place);
    if (reader.blank())
      continue;
    const std::string key = reader.key();
    const bool fresh = given.emplace(key, Given{reader.value(), place}).second;
    require<DataError>(fresh, "{}: {} stands twice.", place, key);
  }
  return given;
}

GivenSettings read_configuration_file(const std::string& path) {
  return read_toml(read_file(path, 1 << 20), path);
}

}  // namespace likely
