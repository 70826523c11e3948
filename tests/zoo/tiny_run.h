// Runs of tiny models, as `train` and `resume` make them.
#pragma once
#include <doctest/doctest.h>

#include <map>

#include "tests/zoo/tiny_model.h"
#include "zoo/run/training.h"

namespace likely {

inline GivenSettings given(const std::map<std::string, std::string>& settings) {
  GivenSettings result;
  for (const auto& [name, value] : settings)
    result[name] = {value, "--" + name};
  return result;
}

// Trains quietly in a new folder, or goes on in an old one; returns the exit code.
inline int run(const std::string& folder, const std::map<std::string, std::string>& settings = {},
               FileSystem&& files = HastyFileSystem(),
               const ModelDescription& description = tiny_description()) {
  const bool there = std::filesystem::exists(folder);
  const Configuration configuration =
      there ? RunDirectory::open(folder).read_configuration(description, given(settings))
            : resolve(description, {}, given(settings));
  const RunDirectory directory =
      there ? RunDirectory::open(folder) : RunDirectory::create(folder, configuration);
  const Captured results(1);
  return train(description, configuration, directory, there ? Beginning::resumed : Beginning::fresh,
               {Verbosity::quiet, Output::text, &files});
}

// All files of the last checkpoint, the metrics and the newest pictures, by name.
inline std::map<std::string, std::string> results(const std::string& folder, std::int64_t step) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/checkpoints/last"))
    files[entry.path().filename().string()] = read_file(entry.path().string());
  files["metrics"] = read_file(folder + "/metrics.jsonl");
  files["samples"] = read_file(fmt::format("{}/samples/samples-{:06}.png", folder, step));
  return files;
}

inline void check_same(const std::map<std::string, std::string>& a,
                       const std::map<std::string, std::string>& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, bytes] : a) {
    CAPTURE(name);
    CHECK((b.at(name) == bytes));
  }
}

}  // namespace likely
