// Counting predictors and a compressor.
#include "zoo/data/baselines.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace likely {
namespace {

// Rows of pixels as bits: pixel x of a row is bit x + 3, so that neighbours outside read as black.
using PackedRow = std::uint64_t;

// Of the 18 pixels nearest to (y, x) among those before it: 3 to its left, 7 in the row above, 5 in
// the second and 3 in the third.
std::uint32_t context_of(const PackedRow* row, std::int64_t y, std::int64_t x) {
  const PackedRow above = y > 0 ? row[-1] : 0;
  const PackedRow second = y > 1 ? row[-2] : 0;
  const PackedRow third = y > 2 ? row[-3] : 0;
  return static_cast<std::uint32_t>((row[0] >> x & 7) | (above >> x & 127) << 3 |
                                    (second >> (x + 1) & 31) << 10 | (third >> (x + 2) & 7) << 15);
}

struct Counts {
  std::uint32_t of[2] = {0, 0};
  double nats(int value) const {  // −ln of the estimate, counts + ½
    return std::log((of[0] + of[1] + 1.0) / (of[value] + 0.5));
  }
};

struct Predictors {
  std::vector<Counts> marginal, context{std::size_t{1} << 18};
};

// Calls f(marginal counts, context counts, value) for every pixel of a block of images.
template <class F>
void for_each_pixel(Predictors& predictors, const Tensor& images, const F& f) {
  const std::int64_t height = images.size(1), width = images.size(2);
  const std::uint8_t* pixel = images.data<std::uint8_t>();
  std::vector<PackedRow> rows(height);
  for (std::int64_t i = 0; i < images.size(0); ++i)
    for (std::int64_t y = 0; y < height; ++y) {
      rows[y] = 0;
      for (std::int64_t x = 0; x < width; ++x)
        rows[y] |= PackedRow{pixel[x]} << (x + 3);
      for (std::int64_t x = 0; x < width; ++x)
        f(predictors.marginal[y * width + x], predictors.context[context_of(&rows[y], y, x)],
          *pixel++);
    }
}

// Calls f with a split's images in order, in blocks that stay in the cache.
template <class F>
void for_each_block(const DataSet& data, Split split, std::int64_t count, const Draw& draw,
                    const F& f) {
  constexpr std::int64_t block = 500;
  for (std::int64_t begin = 0; begin < count; begin += block) {
    std::vector<std::int64_t> rows(std::min(block, count - begin));
    std::iota(rows.begin(), rows.end(), begin);
    f(data.bytes(split, rows, draw));
  }
}

double compressed_bytes(const std::vector<std::uint8_t>& packed) {
  uLongf size = compressBound(packed.size());
  std::vector<std::uint8_t> compressed(size);
  require<OutOfMemory>(compress2(compressed.data(), &size, packed.data(), packed.size(), 9) == Z_OK,
                       "baselines: zlib has no memory for {} bytes. Free some.", packed.size());
  return static_cast<double>(size);
}

}  // namespace

namespace {

std::int64_t shown(const DataSet& data) {
  return std::min<std::int64_t>(data.size(Split::train), 50000);
}
Draw draw_of_training() { return {make_step_state({}), purpose_hash("baselines/train")}; }

// Of bytes that take any number of levels.
std::vector<Baseline> ladder_of_bytes(const DataSet& data) {
  const std::int64_t elements = data.image().numel(), levels = data.levels(),
                     tested = data.size(Split::test);
  std::vector<std::uint32_t> counts(static_cast<std::size_t>(elements * levels));
  const auto for_each = [&](Split split, std::int64_t count, const auto& f) {
    for_each_block(data, split, count, draw_of_training(), [&](const Tensor& images) {
      const std::uint8_t* value = images.data<std::uint8_t>();
      for (std::int64_t i = 0; i < images.size(0); ++i)
        for (std::int64_t e = 0; e < elements; ++e, ++value)
          f(counts[static_cast<std::size_t>(e * levels + *value)], *value);
    });
  };
  for_each(Split::train, shown(data), [](std::uint32_t& count, std::uint8_t) { ++count; });
  const double all = static_cast<double>(shown(data)) + 0.5 * static_cast<double>(levels);
  double nats = 0;
  std::vector<std::uint8_t> bytes;
  for_each(Split::test, tested, [&](std::uint32_t count, std::uint8_t value) {
    nats += std::log(all / (count + 0.5));
    bytes.push_back(value);
  });
  const auto n = static_cast<double>(tested);
  return {{"uniform", static_cast<double>(elements) * std::log(static_cast<double>(levels))},
          {"marginal", nats / n},
          {"zlib -9", compressed_bytes(bytes) * 8 * std::numbers::ln2 / n}};
}

}  // namespace

std::vector<Baseline> baseline_ladder(const DataSet& data) {
  if (data.levels() == 0)
    return {};
  const Shape& image = data.image();
  if (data.levels() > 2 || image[-1] > 1)
    return ladder_of_bytes(data);
  require(image[1] <= 58, "baselines: rows of {} pixels have no ladder: at most 58 fit.", image[1]);
  const auto pixels = static_cast<double>(image.numel());
  const std::int64_t tested = data.size(Split::test);
  Predictors predictors;
  predictors.marginal.resize(image.numel());
  const Draw draw = draw_of_training();
  for_each_block(data, Split::train, shown(data), draw, [&](const Tensor& images) {
    for_each_pixel(predictors, images, [](Counts& marginal, Counts& context, int value) {
      ++marginal.of[value];
      ++context.of[value];
    });
  });
  double marginal_nats = 0, context_nats = 0;
  std::vector<std::uint8_t> packed((tested * image.numel() + 7) / 8);
  std::size_t bit = 0;
  for_each_block(data, Split::test, tested, draw, [&](const Tensor& images) {
    for_each_pixel(predictors, images,
                   [&](const Counts& marginal, const Counts& context, int value) {
                     marginal_nats += marginal.nats(value);
                     context_nats += context.nats(value);
                     packed[bit / 8] |= static_cast<std::uint8_t>(value << bit % 8);
                     ++bit;
                   });
  });
  const auto n = static_cast<double>(tested);
  return {{"uniform", pixels * std::numbers::ln2},
          {"marginal", marginal_nats / n},
          {"18 pixels", context_nats / n},
          {"zlib -9", compressed_bytes(packed) * 8 * std::numbers::ln2 / n}};
}

}  // namespace likely
