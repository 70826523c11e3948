// `shapes` and `bars`: templates, and images drawn from them.
#include "zoo/data/generated.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace likely {
namespace {

constexpr std::int64_t held_out = 10000;

class GeneratedSet final : public DataSet {
 public:
  GeneratedSet(std::string name, TemplateMixture mixture, const DataOptions& options)
      : DataSet(std::move(name), mixture.image(), options.seed, options.device),
        mixture_(std::move(mixture)),
        flips_below_(std::llround(mixture_.flip() * 0x1p32)) {}

  std::int64_t size(Split split) const override {
    return split == Split::train ? endless : held_out;
  }
  std::optional<double> entropy() const override { return mixture_.entropy(); }
  std::vector<double> log_prob(const Tensor& images) const override {
    return mixture_.log_prob(images);
  }
  const TemplateMixture* templates() const override { return &mixture_; }

 private:
  void write_image(Split, std::int64_t, const ImageWords& words,
                   std::uint8_t* pixels) const override {
    const std::uint8_t* const chosen = mixture_.pixels(mixture_.choose(words.block(0).word[0]));
    for (std::int64_t i = 0; i < image().numel(); i += 4) {
      const PhiloxBlock block = words.block(static_cast<std::uint32_t>(1 + i / 4));
      for (std::int64_t j = i; j < std::min(i + 4, image().numel()); ++j)
        pixels[j] = chosen[j] ^ static_cast<std::uint8_t>(block.word[j - i] < flips_below_);
    }
  }

  TemplateMixture mixture_;
  std::int64_t flips_below_;  // of 2^32
};

enum class Figure { disc, square, triangle, cross };

bool inside(Figure figure, int dx, int dy, int r) {
  const bool in_box = std::abs(dx) <= r && std::abs(dy) <= r;
  switch (figure) {
    case Figure::disc:
      return dx * dx + dy * dy <= r * r;
    case Figure::square:
      return in_box;
    case Figure::triangle:
      return std::abs(dy) <= r && 2 * std::abs(dx) <= dy + r;
    case Figure::cross:
      return in_box && (std::abs(dx) <= r / 3 || std::abs(dy) <= r / 3);
  }
  return false;
}

}  // namespace

TemplateMixture shapes_mixture() {
  constexpr int side = 28;
  std::vector<std::uint8_t> pixels;
  for (const Figure figure : {Figure::disc, Figure::square, Figure::triangle, Figure::cross})
    for (int cy = 8; cy <= 19; ++cy)
      for (int cx = 8; cx <= 19; ++cx)
        for (int r = 3; r <= 7; ++r)
          for (int y = 0; y < side; ++y)
            for (int x = 0; x < side; ++x)
              pixels.push_back(inside(figure, x - cx, y - cy, r));
  const std::size_t count = pixels.size() / (side * side);
  return {{side, side, 1}, std::move(pixels), std::vector<int>(count, 1), 0.02};
}

TemplateMixture bars_mixture(int n) {
  const int patterns = 1 << n;
  std::vector<std::uint8_t> pixels;
  std::vector<int> multiplicity;
  const auto add = [&](bool rows, int pattern) {
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x)
        pixels.push_back((pattern >> (rows ? y : x)) & 1);
    multiplicity.push_back(pattern == 0 || pattern == patterns - 1 ? 2 : 1);
  };
  for (int pattern = 0; pattern < patterns; ++pattern)
    add(true, pattern);
  for (int pattern = 1; pattern < patterns - 1; ++pattern)
    add(false, pattern);
  return {{n, n, 1}, std::move(pixels), multiplicity, 0};
}

std::unique_ptr<DataSet> make_generated(std::string name, TemplateMixture mixture,
                                        const DataOptions& options) {
  require<UsageError>(!options.binarisation,
                      "data: {} is black and white already. Leave out "
                      "--binarisation {}.",
                      name, name_of(*options.binarisation));
  return std::make_unique<GeneratedSet>(std::move(name), std::move(mixture), options);
}

}  // namespace likely
