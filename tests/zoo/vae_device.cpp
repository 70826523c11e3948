#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/device.h"
#include "tests/zoo/tiny_model.h"
#include "zoo/models/vae.h"
#include "zoo/run/training.h"

using namespace likely;

namespace {

// Trains a small VAE for some steps, or goes on with it. `device` is "cpu" or "cuda".
void run(const std::string& folder, const std::string& device, const std::string& steps) {
  const std::map<std::string, std::string> settings{
      {"data", "bars"},     {"device", device},  {"steps", steps},        {"batch", "16"},
      {"hidden", "24"},       {"latents", "3"},    {"threads", "1"},        {"eval-every", "20"},
      {"sample-every", "20"}, {"eval-count", "8"}, {"schedule", "constant"}};
  GivenSettings given;
  for (const auto& [name, value] : settings)
    given[name] = {value, "--" + name};
  const ModelDescription description = vae_description();
  const bool there = std::filesystem::exists(folder);
  const Configuration configuration = there ? RunDirectory::open(folder).read_configuration(
                                                  description, {{"steps", {steps, "--steps"}}})
                                            : resolve(description, {}, given);
  const RunDirectory directory =
      there ? RunDirectory::open(folder) : RunDirectory::create(folder, configuration);
  HastyFileSystem files;
  const Captured results(1);
  REQUIRE(train(description, configuration, directory,
                there ? Beginning::resumed : Beginning::fresh,
                {Verbosity::quiet, Output::text, &files}) == 0);
}

std::vector<double> losses(const std::string& folder) {
  std::vector<double> found;
  std::istringstream lines(read_file(folder + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);)
    found.push_back(nlohmann::json::parse(line).at("loss"));
  return found;
}

}  // namespace

TEST_CASE(
    "vae: twenty steps have the CPU's losses on every device, and resume has the same bytes") {
  const std::string here = device_under_test() == Device::cpu ? "cpu" : "cuda";
  const TemporaryFolder folder;
  run(folder / "cpu", "cpu", "20");
  run(folder / "here", here, "20");
  const std::vector<double> expected = losses(folder / "cpu"), found = losses(folder / "here");
  REQUIRE(expected.size() == 20);
  REQUIRE(found.size() == 20);
  for (std::size_t i = 0; i < 20; ++i)
    CHECK(std::abs(found[i] - expected[i]) < 1e-5 * std::abs(expected[i]));
  CHECK(found[19] < found[0]);

  run(folder / "stopped", here, "7");
  run(folder / "stopped", here, "20");
  for (const std::string file : {"model.safetensors", "state.safetensors"}) {
    INFO(file);
    const std::string path = "/checkpoints/last/" + file;
    CHECK((read_file(folder / "stopped" + path) == read_file(folder / "here" + path)));
  }
}
