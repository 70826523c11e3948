// Training images in a mirror.
#include <doctest/doctest.h>

#include <numeric>

#include "tests/zoo/data_files.h"
#include "zoo/data/catalogue.h"

using namespace likely;

namespace {

// Image `row` counts on from its row: no two places of it are alike.
class Counting : public DataSet {
 public:
  explicit Counting(std::int64_t channels)
      : DataSet("counting", {3, 5, channels}, 256, 0, Device::cpu) {}
  std::int64_t size(Split) const override { return 1000; }

 private:
  void write_image(Split, std::int64_t row, const ImageWords&,
                   std::uint8_t* pixels) const override {
    std::iota(pixels, pixels + image().numel(), static_cast<std::uint8_t>(row % 100));
  }
};

}  // namespace

TEST_CASE("mirror: half of the training images, their sides alone changed, anew in each update") {
  Counting plain(3), mirrored(3);
  mirrored.mirror_half();
  std::vector<std::int64_t> rows(1000);
  std::iota(rows.begin(), rows.end(), 0);
  const Tensor before = plain.bytes(Split::train, rows, draw_of(5, 1)),
               after = mirrored.bytes(Split::train, rows, draw_of(5, 1)),
               again = mirrored.bytes(Split::train, rows, draw_of(5, 2));
  const auto at = [](const Tensor& images, std::int64_t i, std::int64_t r, std::int64_t c,
                     std::int64_t channel) {
    return images.data<std::uint8_t>()[((i * 3 + r) * 5 + c) * 3 + channel];
  };
  int mirrors = 0, changes = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    const bool mirror = at(after, i, 0, 0, 0) != at(before, i, 0, 0, 0);
    mirrors += mirror;
    changes += at(after, i, 0, 0, 0) != at(again, i, 0, 0, 0);
    for (std::int64_t r = 0; r < 3; ++r)
      for (std::int64_t c = 0; c < 5; ++c)
        for (std::int64_t channel = 0; channel < 3; ++channel)
          REQUIRE(at(after, i, r, c, channel) == at(before, i, r, mirror ? 4 - c : c, channel));
  }
  CHECK(std::abs(mirrors - 500) < 64);  // 4 standard deviations
  CHECK(std::abs(changes - 500) < 64);
  CHECK(mirrored.bytes(Split::test, rows).to_vector<std::uint8_t>() ==
        plain.bytes(Split::test, rows).to_vector<std::uint8_t>());
}

TEST_CASE("mirror: images without colours, and such whose captions name sides, refuse it") {
  Counting grey(1);
  CHECK_THROWS_WITH_AS(grey.mirror_half(),
                       "--augment mirror: counting holds no colour images, and of letters and "
                       "digits there is another in the mirror. Leave it out.",
                       UsageError);
  CHECK_THROWS_WITH_AS(
      make_data_set("shapes-rgb", {})->mirror_half(),
      "--augment mirror: the captions of shapes-rgb say what is on the left. Leave "
      "it out.",
      UsageError);
}
