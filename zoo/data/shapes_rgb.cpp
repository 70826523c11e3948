// A figure's rows are intervals, so a template's log-probability is a sum of differences of prefix
// sums: no product over 3,072 values for each of 17,280 templates.
#include "zoo/data/shapes_rgb.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "kernels/parallel.h"
#include "zoo/data/generated.h"

namespace likely {
namespace {

constexpr std::int64_t side = ShapesRgb::side, values = side * side * 3;
constexpr int background = 128, bright = 208, dark = 48;
constexpr int means[] = {dark, background, bright};
constexpr int reach = 22;  // beyond it a word of 32 bits sees nothing
constexpr int first_centre = 10, last_centre = 21, smallest = 3, largest = 7;
const char* const colour_names[] = {"red", "green", "blue", "yellow", "cyan", "magenta"};
const char* const figure_names[] = {"disc", "square", "triangle", "cross"};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// log (σ(a) − σ(a − 1)) = log σ(a) + log σ(1 − a) + log (1 − 1/e), far out too.
double log_discretised_logistic(int value, int mean) {
  const double above = value + 0.5 - mean;
  if (value == 0)
    return -softplus(-above);
  if (value == 255)
    return -softplus(above - 1);
  return -softplus(-above) - softplus(above - 1) + std::log1p(-std::exp(-1.0));
}

std::size_t mean_index(int mean) {
  return static_cast<std::size_t>((mean - dark) / (bright - background));
}

// The values of an image as bytes; Error where it is none.
std::vector<std::uint8_t> bytes_of(const Tensor& images) {
  require(images.rank() == 4 && images.shape().numel() == images.size(0) * values &&
              (images.dtype() == DType::u8 || images.dtype() == DType::f32),
          "shapes-rgb: {} of type {} are no u8 or f32 images of shape [32, 32, 3].", images.shape(),
          images.dtype());
  if (images.dtype() == DType::u8)
    return images.to_vector<std::uint8_t>();
  std::vector<std::uint8_t> bytes;
  for (const float value : images.to_vector<float>()) {
    const float byte = std::round(255 * value);
    require(byte >= 0 && byte <= 255 && std::abs(byte - 255 * value) < 1e-3f,
            "shapes-rgb: a pixel is {}: only bytes / 255 have a probability here. Round them.",
            value);
    bytes.push_back(static_cast<std::uint8_t>(byte));
  }
  return bytes;
}

class ShapesRgbSet final : public DataSet {
 public:
  explicit ShapesRgbSet(const DataOptions& options)
      : DataSet("shapes-rgb", {side, side, 3}, 256, options.seed, options.device) {}
  std::int64_t size(Split split) const override {
    return split == Split::train ? endless : held_out;
  }
  std::optional<double> entropy() const override { return law_.entropy(); }
  std::optional<double> entropy_given_caption() const override {
    return law_.entropy_given_caption();
  }
  std::vector<double> log_prob(const Tensor& images) const override {
    return law_.log_prob(images);
  }

 private:
  static std::int64_t choose(const ImageWords& words) {
    return static_cast<std::int64_t>(std::uint64_t{words.block(0).word[0]} * ShapesRgb::count >>
                                     32);
  }
  void write_image(Split, std::int64_t, const ImageWords& words,
                   std::uint8_t* pixels) const override {
    const std::int64_t t = choose(words);
    for (std::int64_t i = 0; i < values; i += 4) {
      const PhiloxBlock block = words.block(static_cast<std::uint32_t>(1 + i / 4));
      for (std::int64_t j = i; j < i + 4; ++j)
        pixels[j] = law_.value(law_.mean(t, j), block.word[j - i]);
    }
  }
  std::string caption(Split, std::int64_t, const ImageWords& words) const override {
    return law_.caption(choose(words));
  }

  ShapesRgb law_;
};

}  // namespace

ShapesRgb::ShapesRgb() {
  for (int figure = 0; figure < 4; ++figure)
    for (int cy = first_centre; cy <= last_centre; ++cy)
      for (int cx = first_centre; cx <= last_centre; ++cx)
        for (int r = smallest; r <= largest; ++r) {
          Template shape{figure, cx, cy, r, {}, {}};
          for (int dy = -r; dy <= r; ++dy) {
            int reached = 0;  // to both sides of the centre's column
            while (reached < r && inside(forms[figure], reached + 1, dy, r))
              ++reached;
            shape.begin[dy + r] = cx - reached;
            shape.end[dy + r] = cx + reached + 1;
          }
          templates_.push_back(shape);
        }
  for (int k = -reach; k <= reach; ++k)
    below_.push_back(std::llround(sigmoid(k + 0.5) * 0x1p32));
  for (const int mean : means)
    for (int value = 0; value < 256; ++value)
      log_p_.push_back(log_discretised_logistic(value, mean));
}

int ShapesRgb::channel(std::int64_t colour, std::int64_t channel) {
  static constexpr bool lit[6][3] = {{true, false, false}, {false, true, false},
                                     {false, false, true}, {true, true, false},
                                     {false, true, true},  {true, false, true}};
  return lit[colour][channel] ? bright : dark;
}

double ShapesRgb::entropy() const {
  double h = 0;
  for (int value = 0; value < 256; ++value) {
    const double log_p = log_p_[256 + static_cast<std::size_t>(value)];
    h -= std::exp(log_p) * log_p;
  }
  return std::log(double{count}) + values * h;
}

double ShapesRgb::entropy_given_caption() const {
  std::map<std::string, int> captions;
  for (std::int64_t t = 0; t < count; ++t)
    ++captions[caption(t)];
  double nats = entropy();
  for (const auto& [text, number] : captions)
    nats += number / double{count} * std::log(number / double{count});
  return nats;
}

std::string ShapesRgb::caption(std::int64_t t) const {
  const Template& shape = templates_[static_cast<std::size_t>(t / colours)];
  const auto third = [](int centre) {
    return (centre - first_centre) * 3 / (last_centre - first_centre + 1);
  };
  static constexpr const char* down[] = {"top", "middle", "bottom"};
  static constexpr const char* across[] = {"left", "centre", "right"};
  return fmt::format("{} {} {}, {} {}",
                     shape.r < 5    ? "small"
                     : shape.r == 5 ? "medium"
                                    : "large",
                     colour_names[t % colours], figure_names[shape.figure], down[third(shape.cy)],
                     across[third(shape.cx)]);
}

int ShapesRgb::mean(std::int64_t t, std::int64_t value) const {
  const Template& shape = templates_[static_cast<std::size_t>(t / colours)];
  const auto row = static_cast<int>(value / 3 / side) - shape.cy + shape.r;
  const auto column = static_cast<int>(value / 3 % side);
  const bool in =
      row >= 0 && row <= 2 * shape.r && column >= shape.begin[row] && column < shape.end[row];
  return in ? channel(t % colours, value % 3) : background;
}

std::uint8_t ShapesRgb::value(int mean, std::uint32_t word) const {
  const auto steps = std::partition_point(below_.begin(), below_.end(),
                                          [&](std::int64_t below) { return word >= below; }) -
                     below_.begin();
  return static_cast<std::uint8_t>(mean - reach + steps);
}

double ShapesRgb::log_prob_of(const std::uint8_t* image) const {
  // gain[colour][row][column]: what the pixels of a row before the column gain by the colour.
  std::array<std::array<std::array<double, side + 1>, side>, colours> gain;
  const double* const log_p = log_p_.data();
  double on_background = 0;
  for (std::int64_t y = 0; y < side; ++y)
    for (std::int64_t x = 0; x < side; ++x) {
      const std::uint8_t* const pixel = image + (y * side + x) * 3;
      double here = 0;
      for (int c = 0; c < 3; ++c)
        here += log_p[256 + pixel[c]];
      on_background += here;
      for (std::int64_t colour = 0; colour < colours; ++colour) {
        auto& row = gain[colour][y];
        row[0] = 0;
        double coloured = 0;
        for (int c = 0; c < 3; ++c)
          coloured += log_p[256 * mean_index(channel(colour, c)) + pixel[c]];
        row[x + 1] = row[x] + coloured - here;
      }
    }
  std::vector<double> gains;
  for (const Template& shape : templates_)
    for (std::int64_t colour = 0; colour < colours; ++colour) {
      double sum = 0;
      for (int i = 0; i <= 2 * shape.r; ++i) {
        const auto& row = gain[colour][shape.cy - shape.r + i];
        sum += row[shape.end[i]] - row[shape.begin[i]];
      }
      gains.push_back(sum);
    }
  const double most = *std::max_element(gains.begin(), gains.end());
  double sum = 0;
  for (const double value : gains)
    sum += std::exp(value - most);
  return on_background + most + std::log(sum / count);
}

std::vector<double> ShapesRgb::log_prob(const Tensor& images) const {
  const std::vector<std::uint8_t> bytes = bytes_of(images);
  std::vector<double> nats(bytes.size() / values);
  kernels::parallel_for(static_cast<std::int64_t>(nats.size()), 16,
                        [&](std::int64_t begin, std::int64_t end) {
                          for (std::int64_t i = begin; i < end; ++i)
                            nats[i] = log_prob_of(&bytes[i * values]);
                        });
  return nats;
}

DataSetDescription shapes_rgb_description() {
  return {"shapes-rgb",
          "endless + 10000 + 10000 images of 32x32x3",
          "coloured shapes in noise, with captions; entropy 6195.79553 nats, given the "
          "caption 6189.36534",
          "generated",
          {},
          [](const DataOptions& options) -> std::unique_ptr<DataSet> {
            if (options.binarisation)
              fail<UsageError>("data: shapes-rgb is in colour. Leave out --binarisation {}.",
                               name_of(*options.binarisation));
            return std::make_unique<ShapesRgbSet>(options);
          }};
}

}  // namespace likely
