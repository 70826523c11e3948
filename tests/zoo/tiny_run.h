// Runs of tiny models, as `train` and `resume` make them, and what they leave.
#pragma once
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tensor/allocator.h"
#include "tests/zoo/tiny_model.h"
#include "zoo/run/plan.h"
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
  const RunDirectory directory = there ? RunDirectory::open_to_write(folder, "resume", files)
                                       : RunDirectory::planned(folder, files);
  const Captured results(1);
  return train(description, configuration, directory, there ? Beginning::resumed : Beginning::fresh,
               {Verbosity::quiet, Output::text, &files});
}

struct Outcome {
  int exit_code = -1;
  std::string out, error;
};

// What a model's binary does with these words.
inline Outcome outcome_of(const ModelDescription& description, std::vector<std::string> words) {
  words.insert(words.begin(), description.name);
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  const Captured out(1), error(2);
  const int exit_code = run_model(description, static_cast<int>(argv.size()), argv.data());
  return {exit_code, out.text(), error.text()};
}
inline Outcome tiny(const std::vector<std::string>& words,
                    const ModelDescription& description = tiny_description()) {
  return outcome_of(description, words);
}

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The objects of metrics.jsonl, in order.
inline std::vector<nlohmann::json> metrics_of(const std::string& folder) {
  std::vector<nlohmann::json> objects;
  std::istringstream lines(read_file(folder + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);)
    objects.push_back(nlohmann::json::parse(line));
  return objects;
}

// A run takes what `plan` says, to the byte.
inline void check_planned(const std::map<std::string, std::string>& settings,
                          const ModelDescription& description = tiny_description()) {
  const TemporaryFolder folder;
  const bool on_cuda = settings.contains("device") && settings.at("device") == "cuda";
  Allocator& allocator = allocator_of(on_cuda ? Device::cuda : Device::cpu);
  REQUIRE(allocator.counters().in_use == 0);
  {
    const Captured messages(2);
    REQUIRE(run(folder / "run", settings, HastyFileSystem(), description) == 0);
  }
  const Allocator::Counters counters = allocator.counters();
  const Plan planned = plan(description, resolve(description, {}, given(settings)));
  CHECK(planned.peak_bytes == static_cast<std::int64_t>(counters.peak_in_use));
  CHECK(planned.held_bytes == static_cast<std::int64_t>(counters.peak_held));
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
