#include <doctest/doctest.h>

#include <numeric>

#include "kernels/copy.h"
#include "nn/parameters.h"
#include "tests/device.h"
#include "zoo/models/pixelcnn.h"
#include "zoo/run/trainer.h"

using namespace likely;

TEST_CASE(
    "pixelcnn: pixel by pixel, guided samples are those of whole passes, with the CPU's bits") {
  const auto samples = [](Device device, bool by_whole_passes) {
    const Condition condition{3, 0.1};
    PixelCnn model({6, 5, 1}, {.width = 6, .layers = 2, .condition = condition});
    Module& module = model.networks()[0].module;
    module.to(device);
    module.initialise(3);
    const Parameters parameters(module);
    Random random = random_for(Occasion::pictures, 5, device);
    const Tensor labels = Tensor::of({7}, std::vector<std::int64_t>{0, 2, 1, 1, 0, 2, 2}, device);
    return kernels::to_doubles(
        by_whole_passes ? model.sample_by_whole_passes(7, random, {condition, labels, 2.5})
                        : model.sample_given(labels, 2.5, random));
  };
  const std::vector<double> expected = samples(Device::cpu, true);
  CHECK(samples(Device::cpu, false) == expected);
  CHECK(samples(device_under_test(), false) == expected);
  const double ones = std::accumulate(expected.begin(), expected.end(), 0.0);
  CHECK(ones > 0);
  CHECK(ones < static_cast<double>(expected.size()));
}
