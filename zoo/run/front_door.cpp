#include "zoo/run/front_door.h"

#include <filesystem>
#include <optional>

#include "tensor/shown.h"
#include "zoo/run/configuration.h"
#include "zoo/run/file_system.h"

namespace likely {
namespace {

namespace fs = std::filesystem;

// The value of `--name value` or `--name=value`.
std::optional<std::string> option(const std::vector<std::string>& words, const std::string& name) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == name && i + 1 < words.size())
      return words[i + 1];
    if (words[i].starts_with(name + "="))
      return words[i].substr(name.size() + 1);
  }
  return std::nullopt;
}

// Of --config, else of the first folder that holds one; empty where there is none.
std::string configuration_among(const std::vector<std::string>& words) {
  if (const auto file = option(words, "--config"))
    return *file;
  for (const std::string& word : words) {
    const std::string file = word + "/config.toml";
    std::error_code error;
    if (fs::exists(file, error))
      return file;
  }
  return "";
}

}  // namespace

NamedByWords named_by(const std::vector<std::string>& words) {
  NamedByWords named;
  if (const std::string file = configuration_among(words); !file.empty()) {
    const GivenSettings given = read_configuration_file(file);
    const auto value = [&](const char* name) {
      const auto found = given.find(name);
      return found == given.end() ? std::string() : found->second.value;
    };
    named = {value("model"), value("device")};
  }
  named.device = option(words, "--device").value_or(named.device);
  return named;
}

std::string about(const std::vector<std::string>& words) {
  const NamedByWords named = named_by(words);
  std::string lines;
  if (!named.model.empty())
    lines += fmt::format("model {}\n", shown(named.model));
  if (!named.device.empty())
    lines += fmt::format("device {}\n", shown(named.device));
  return lines;
}

}  // namespace likely
