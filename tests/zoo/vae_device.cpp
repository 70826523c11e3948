#include <cmath>

#include "tests/device.h"
#include "tests/zoo/tiny_run.h"
#include "zoo/models/vae.h"

using namespace likely;

TEST_CASE(
    "vae: twenty steps have the CPU's losses on every device, and resume has the same bytes") {
  const TemporaryFolder folder;
  const auto go = [&](const char* name, const char* device, const char* steps) {
    const std::map<std::string, std::string> settings{
        {"data", "bars"},       {"device", device},  {"steps", steps},        {"batch", "16"},
        {"hidden", "24"},       {"latents", "3"},    {"threads", "1"},        {"eval-every", "20"},
        {"sample-every", "20"}, {"eval-count", "8"}, {"schedule", "constant"}};
    REQUIRE(run(folder / name, settings, HastyFileSystem(), vae_description()) == 0);
  };
  const char* const here = device_under_test() == Device::cpu ? "cpu" : "cuda";
  go("cpu", "cpu", "20");
  go("here", here, "20");
  const auto expected = metrics_of(folder / "cpu"), found = metrics_of(folder / "here");
  REQUIRE(expected.size() == 20);
  REQUIRE(found.size() == 20);
  const auto loss = [](const nlohmann::json& line) { return line.at("loss").get<double>(); };
  for (std::size_t i = 0; i < 20; ++i)
    CHECK(std::abs(loss(found[i]) - loss(expected[i])) < 1e-5 * std::abs(loss(expected[i])));
  CHECK(loss(found[19]) < loss(found[0]));

  go("stopped", here, "7");
  go("stopped", here, "20");
  check_same(results(folder / "here", 20), results(folder / "stopped", 20));
}
