// `shapes`, `bars` and `ising`: templates, and images drawn from them.
#include "zoo/data/generated.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace likely {
namespace {

class GeneratedSet final : public DataSet {
 public:
  GeneratedSet(std::string name, TemplateMixture mixture, const DataOptions& options)
      : DataSet(std::move(name), mixture.image(), 2, options.seed, options.device),
        mixture_(std::move(mixture)) {
    for (std::int64_t k = 0; k <= image().numel(); ++k)
      survive_.push_back(std::llround(std::pow(1 - mixture_.flip(), k) * 0x1p32));
  }

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
    PhiloxBlock block = words.block(0);
    std::copy_n(mixture_.pixels(mixture_.choose(block.word[0])), image().numel(), pixels);
    // The runs of pixels between flips are geometric: one word for each flip, not for each pixel.
    std::int64_t pixel = -1;
    for (std::uint32_t used = 1;; ++used) {
      if (used % 4 == 0)
        block = words.block(used / 4);
      pixel += 1 + run_length(block.word[used % 4]);
      if (pixel >= image().numel())
        return;
      pixels[pixel] ^= 1;
    }
  }

  // k with probability flip (1 − flip)^k, to 2^-32; the number of pixels stands for all larger
  // ones.
  std::int64_t run_length(std::uint32_t word) const {
    return std::partition_point(survive_.begin() + 1, survive_.end(),
                                [&](std::int64_t below) { return word < below; }) -
           survive_.begin() - 1;
  }

  TemplateMixture mixture_;
  std::vector<std::int64_t> survive_;  // (1 − flip)^k, k = 0 … pixels, in units of 2^-32
};

}  // namespace

bool inside(Form form, int dx, int dy, int r) {
  const bool in_box = std::abs(dx) <= r && std::abs(dy) <= r;
  switch (form) {
    case Form::disc:
      return dx * dx + dy * dy <= r * r;
    case Form::square:
      return in_box;
    case Form::triangle:
      return std::abs(dy) <= r && 2 * std::abs(dx) <= dy + r;
    case Form::cross:
      return in_box && (std::abs(dx) <= r / 3 || std::abs(dy) <= r / 3);
  }
  return false;
}

TemplateMixture shapes_mixture() {
  constexpr int side = 28;
  std::vector<std::uint8_t> pixels;
  for (const Form form : forms)
    for (int cy = 8; cy <= 19; ++cy)
      for (int cx = 8; cx <= 19; ++cx)
        for (int r = 3; r <= 7; ++r)
          for (int y = 0; y < side; ++y)
            for (int x = 0; x < side; ++x)
              pixels.push_back(inside(form, x - cx, y - cy, r));
  const std::size_t count = pixels.size() / (side * side);
  return {{side, side, 1}, std::move(pixels), std::vector<double>(count, 1), 0.02};
}

TemplateMixture bars_mixture(int n) {
  const int patterns = 1 << n;
  std::vector<std::uint8_t> pixels;
  std::vector<double> odds;
  const auto add = [&](bool rows, int pattern) {
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x)
        pixels.push_back((pattern >> (rows ? y : x)) & 1);
    odds.push_back(pattern == 0 || pattern == patterns - 1 ? 2 : 1);
  };
  for (int pattern = 0; pattern < patterns; ++pattern)
    add(true, pattern);
  for (int pattern = 1; pattern < patterns - 1; ++pattern)
    add(false, pattern);
  return {{n, n, 1}, std::move(pixels), odds, 0};
}

TemplateMixture ising_mixture(int n, double beta) {
  std::vector<std::uint8_t> pixels;
  std::vector<double> odds;
  for (int state = 0; state < 1 << n * n; ++state) {
    const auto bit = [&](int y, int x) { return state >> (y % n * n + x % n) & 1; };
    int alike = 0;  // pairs of neighbours that are, less those that are not
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x) {
        pixels.push_back(static_cast<std::uint8_t>(bit(y, x)));
        alike += 2 * (bit(y, x) == bit(y, x + 1)) + 2 * (bit(y, x) == bit(y + 1, x)) - 2;
      }
    odds.push_back(std::exp(beta * alike));
  }
  return {{n, n, 1}, std::move(pixels), odds, 0};
}

std::unique_ptr<DataSet> make_generated(std::string name, TemplateMixture mixture,
                                        const DataOptions& options) {
  if (options.binarisation)
    fail<UsageError>("data: {} is black and white already. Leave out --binarisation {}.", name,
                     name_of(*options.binarisation));
  return std::make_unique<GeneratedSet>(std::move(name), std::move(mixture), options);
}

}  // namespace likely
