// Configuration: everything that decides what a run computes, from preset, file and command line.
#pragma once
#include <map>
#include <optional>

#include "zoo/run/model.h"

namespace likely {

// Values by name as the command line or a file gave them, with where each stood.
struct Given {
  std::string value, from;  // "0.001", "config.toml line 3"
};
using GivenSettings = std::map<std::string, Given>;

struct Configuration {
  std::string model;
  Preset preset = Preset::quick;
  Settings settings;  // the run's own and the model's, resolved

  const std::string& data() const { return settings.text("data"); }
  std::uint64_t seed() const { return static_cast<std::uint64_t>(settings.integer("seed")); }

  // config.toml: `train --config` on it is the same run.
  std::string to_toml() const;
  // Of all that decides the bits of a step: not of threads, intervals, folders or the number of
  // steps.
  std::string hash() const;
};

// Settings that every run has, whatever its model: data, seed, device, threads, intervals …
std::vector<Setting> run_settings(const ModelDescription& description);

// Preset, then the model's changes for the data, then the file, then the command line.
Configuration resolve(const ModelDescription& description, const GivenSettings& file,
                      const GivenSettings& command_line);

// The flat part of TOML that configurations use: `key = value` with a string, a number or a bare
// word, and comments; lines may end as any system ends them. DataError names the line of anything
// else.
GivenSettings read_toml(const std::string& text, const std::string& file_name);
GivenSettings read_configuration_file(const std::string& path);

}  // namespace likely
