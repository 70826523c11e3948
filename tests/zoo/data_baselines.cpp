// The ladder where its rungs can be computed another way.
#include <doctest/doctest.h>
#include <zlib.h>

#include <cmath>
#include <map>
#include <numbers>
#include <numeric>

#include "zoo/data/baselines.h"
#include "zoo/data/catalogue.h"
#include "zoo/data/stored.h"

using namespace likely;

namespace {

// The 18 offsets (dy, dx) nearest to a pixel among those before it in raster order.
std::vector<std::pair<int, int>> nearest_offsets() {
  std::vector<std::pair<int, int>> offsets;
  for (int dy = -9; dy <= 0; ++dy)
    for (int dx = -9; dx <= 9; ++dx)
      if (dy < 0 || dx < 0)
        offsets.emplace_back(dy, dx);
  std::stable_sort(offsets.begin(), offsets.end(), [](auto a, auto b) {
    return a.first * a.first + a.second * a.second < b.first * b.first + b.second * b.second;
  });
  offsets.resize(18);
  return offsets;
}

Tensor images_of(const DataSet& data, Split split, std::int64_t count) {
  std::vector<std::int64_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0);
  return data.bytes(split, rows, {make_step_state({}), purpose_hash("baselines/train")});
}

}  // namespace

TEST_CASE("baselines: on bars the rungs agree with counting by hand") {
  const auto data = make_data_set("bars", {});
  const Tensor train = images_of(*data, Split::train, 50000);
  const Tensor test = images_of(*data, Split::test, 10000);
  const auto offsets = nearest_offsets();
  const auto context = [&](const std::uint8_t* image, int y, int x) {
    std::uint32_t code = 0;
    for (const auto& [dy, dx] : offsets) {
      const bool inside = y + dy >= 0 && x + dx >= 0 && x + dx < 8;
      code = code * 2 + (inside ? image[(y + dy) * 8 + x + dx] : 0);
    }
    return code;
  };
  std::map<std::uint32_t, std::array<double, 2>> by_context, by_pixel;
  double context_nats = 0, marginal_nats = 0;
  const auto each_pixel = [&](const Tensor& images, const auto& f) {
    for (std::int64_t i = 0; i < images.size(0); ++i)
      for (int y = 0; y < 8; ++y)
        for (int x = 0; x < 8; ++x) {
          const std::uint8_t* image = images.data<std::uint8_t>() + i * 64;
          f(by_context[context(image, y, x)], by_pixel[static_cast<std::uint32_t>(y * 8 + x)],
            image[y * 8 + x]);
        }
  };
  each_pixel(train, [](auto& context, auto& pixel, int value) {
    ++context[value];
    ++pixel[value];
  });
  each_pixel(test, [&](auto& context, auto& pixel, int value) {
    context_nats -= std::log((context[value] + 0.5) / (context[0] + context[1] + 1)) / 10000;
    marginal_nats -= std::log((pixel[value] + 0.5) / (pixel[0] + pixel[1] + 1)) / 10000;
  });
  const std::vector<Baseline> ladder = baseline_ladder(*data);
  REQUIRE(ladder.size() == 4);
  CHECK(ladder[0].name == "uniform");
  CHECK(ladder[0].nats == doctest::Approx(64 * std::numbers::ln2));
  CHECK(ladder[1].name == "marginal");
  CHECK(ladder[1].nats == doctest::Approx(marginal_nats).epsilon(1e-9));
  CHECK(ladder[2].name == "18 pixels");
  CHECK(ladder[2].nats == doctest::Approx(context_nats).epsilon(1e-9));
  CHECK(ladder[3].name == "zlib -9");
  for (const Baseline& rung : ladder)  // no predictor beats the entropy
    CHECK(rung.nats > data->entropy().value());
}

TEST_CASE("baselines: the compressor's rung unpacks to the test images") {
  const auto data = make_data_set("bars-4", {});
  const Tensor test = images_of(*data, Split::test, 10000);
  std::vector<std::uint8_t> bits(20000), packed(40000);
  for (std::int64_t i = 0; i < 160000; ++i)
    bits[i / 8] |= static_cast<std::uint8_t>(test.data<std::uint8_t>()[i] << i % 8);
  uLongf size = packed.size();
  REQUIRE(compress2(packed.data(), &size, bits.data(), bits.size(), 9) == Z_OK);
  CHECK(baseline_ladder(*data)[3].nats ==
        doctest::Approx(static_cast<double>(size) * 8 * std::numbers::ln2 / 10000));
}

TEST_CASE("baselines: on shapes every rung stays above the entropy") {
  const auto data = make_data_set("shapes", {});
  const std::vector<Baseline> ladder = baseline_ladder(*data);
  for (const Baseline& rung : ladder)
    CHECK(rung.nats > data->entropy().value());
  CHECK(ladder[2].nats < ladder[1].nats);
}

TEST_CASE("baselines: of bytes there are counts of each value on its own, and a compressor") {
  const auto split = [](const std::vector<std::uint8_t>& values) -> StoredSplit {
    return {Tensor::of({static_cast<std::int64_t>(values.size()) / 3, 1, 1, 3}, values), {}, "few"};
  };
  const auto data = make_stored(
      "few", {1, 1, 3},
      {split({5, 0, 1, 5, 0, 2, 7, 0, 3, 9, 0, 4}), split({0, 0, 0}), split({5, 0, 1, 8, 0, 9})},
      {});
  const std::vector<Baseline> ladder = baseline_ladder(*data);
  REQUIRE(ladder.size() == 3);
  CHECK(ladder[0].name == "uniform");
  CHECK(ladder[0].nats == doctest::Approx(3 * std::log(256)));
  CHECK(ladder[1].name == "marginal");  // 4 images and 256 halves
  CHECK(ladder[1].nats ==
        doctest::Approx(3 * std::log(132) -
                        (std::log(2.5 * 4.5 * 1.5) + std::log(0.5 * 4.5 * 0.5)) / 2));
  CHECK(ladder[2].name == "zlib -9");
  CHECK(ladder[2].nats > 0);
}
