// Steps of the adversarial models on every device beside the CPU's.
#include <cmath>

#include "tests/device.h"
#include "tests/zoo/adversarial.h"

using namespace likely;

namespace {

using Words = std::map<std::string, std::string>;

// So that rounding stays rounding: where a ReLU is open for a whole batch, real and generated
// samples cancel in the gradient of its bias, and RMSProp and Adam step by the sign of what is
// left. Points have tanh.
const Words of_points{{"data", "rings"}, {"batch", "16"},  {"width", "8"},
                      {"layers", "2"},   {"latents", "2"}, {"activation", "tanh"}},
    of_images{{"data", "shapes"}, {"batch", "4"}, {"width", "2"}, {"latents", "2"}};
constexpr std::size_t steps = 3;

// The losses of all networks at a step, by name.
std::map<std::string, double> losses(const nlohmann::json& line) {
  std::map<std::string, double> found;
  for (const auto& [name, value] : line.items())
    if (name.ends_with("_loss"))
      found[name] = value;
  return found;
}

}  // namespace

TEST_CASE("adversarial models: steps have the CPU's losses on every device") {
  const char* const here = device_under_test() == Device::cpu ? "cpu" : "cuda";
  for (const ModelDescription& description : adversarial_descriptions())
    for (Words settings : {of_points, of_images}) {
      CAPTURE(description.name);
      CAPTURE(settings["data"]);
      settings.merge(Words{{"steps", fmt::format("{}", steps)},
                           {"threads", "1"},
                           {"eval-every", "100"},
                           {"eval-count", "8"},
                           {"schedule", "constant"}});
      if (description.name == "wgan")
        settings["clip"] = "0.5";  // at 0.01 the scores, and their differences, are all but 0
      const TemporaryFolder folder;
      const Captured messages(2);
      const auto trained = [&](const char* name, const char* device) {
        settings["device"] = device;
        REQUIRE(run(folder / name, settings, HastyFileSystem(), description) == 0);
        return metrics_of(folder / name);
      };
      const auto expected = trained("cpu", "cpu"), found = trained("here", here);
      REQUIRE(expected.size() == steps);
      REQUIRE(found.size() == steps);
      // Losses of critics cross 0: the largest of the run is the scale. Over 20 seeds CPU and
      // emulated CUDA lie 6e-7 of it apart at the most.
      double largest = 0;
      for (const auto& line : expected)
        for (const auto& [name, value] : losses(line))
          largest = std::max(largest, std::abs(value));
      for (std::size_t i = 0; i < steps; ++i) {
        REQUIRE(losses(expected[i]).size() == 2);
        for (const auto& [name, value] : losses(expected[i])) {
          INFO(name);
          CHECK(std::abs(losses(found[i]).at(name) - value) < 1e-5 * largest);
        }
      }
    }
}
