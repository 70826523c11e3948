// Samples of models that give images pixel by pixel, on every device.
#include <doctest/doctest.h>

#include <numeric>

#include "tests/device.h"
#include "tests/zoo/pixels.h"
#include "zoo/models/pixelcnn.h"
#include "zoo/models/plain-pixelcnn.h"
#include "zoo/run/trainer.h"

using namespace likely;

namespace {

// Of labels, where the model takes some.
void check_samples(const std::function<std::unique_ptr<PixelModel>()>& make, double guidance) {
  const auto samples = [&](Device device, bool by_whole_passes) {
    const auto model = make();
    module_of(*model).to(device);
    module_of(*model).initialise(3);
    Random random = random_for(Occasion::pictures, 5, device);
    const bool given = model->classes() > 0;
    const Tensor labels = Tensor::of({7}, std::vector<std::int64_t>{0, 2, 1, 1, 0, 2, 2}, device);
    if (by_whole_passes)
      return kernels::to_doubles(model->sample_by_whole_passes(
          7, random, given ? Guidance({3, 0.1}, labels, guidance) : Guidance()));
    return kernels::to_doubles(given ? model->sample_given(labels, guidance, random)
                                     : model->sample(7, random));
  };
  const std::vector<double> expected = samples(Device::cpu, true);
  CHECK(samples(Device::cpu, false) == expected);
  CHECK(samples(device_under_test(), false) == expected);
  const double mean =
      std::accumulate(expected.begin(), expected.end(), 0.0) / static_cast<double>(expected.size());
  CHECK(mean > 0.1);
  CHECK(mean < 0.9);
}

}  // namespace

TEST_CASE("pixelcnn: pixel by pixel, samples are those of whole passes, with the CPU's bits") {
  for (const char* head : {"softmax", "mixture"}) {
    CAPTURE(head);
    check_samples(
        [&] {
          return make_pixelcnn({4, 3, 3}, 256, {.width = 6, .layers = 2, .head = {head, 3}});
        },
        1);
  }
}

TEST_CASE("pixelcnn: the same under guidance") {
  check_samples(
      [] {
        return make_pixelcnn({6, 5, 1}, 2, {.width = 6, .layers = 2, .condition = {3, 0.1}});
      },
      2.5);
}

TEST_CASE(
    "plain-pixelcnn: pixel by pixel, samples are those of whole passes, with the CPU's bits") {
  check_samples([] { return make_plain_pixelcnn({6, 5, 1}, 2, {.width = 6, .blocks = 2}); }, 1);
}
