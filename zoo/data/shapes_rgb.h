// `shapes-rgb`: coloured shapes in noise, with captions. All about them is known.
#pragma once
#include <memory>

#include "zoo/data/catalogue.h"

namespace likely {

// 32x32x3 bytes: a disc, square, triangle or cross with centre in 10..21 and radius in 3..7, in
// red, green, blue, yellow, cyan or magenta (channels of 208 and 48), on grey 128: 17,280
// templates, all different and equally likely. Every value is drawn from the discretised logistic
// with the template's value as mean and scale 1:
//   P(v | m) = σ(v + ½ − m) − σ(v − ½ − m), 0 and 255 taking the tails,
//   log p(x) = log Σ_t 1/17280 Π P(x_i | m_i).
// A caption says size (radius 3-4 small, 5 medium, 6-7 large), colour, shape and the thirds of the
// centre's range: "large red disc, top left".
class ShapesRgb {
 public:
  ShapesRgb();
  static constexpr std::int64_t side = 32;
  static constexpr std::int64_t colours = 6, count = 2880 * colours;

  double entropy() const;                // ln 17280 + 3072 h, nats: overlap takes away < 1e-30
  double entropy_given_caption() const;  // less the entropy of the captions
  std::vector<double> log_prob(const Tensor& images) const;  // u8, or f32 in [0, 1] of 256 levels

  std::string caption(std::int64_t t) const;
  int mean(std::int64_t t, std::int64_t value) const;  // of a value of the image, raster order
  // A value by one random word.
  std::uint8_t value(int mean, std::uint32_t word) const;

 private:
  struct Template {  // in any colour
    int figure, cx, cy, r;
    // Pixels from begin[dy + r] to before end[dy + r] of the row cy + dy.
    int begin[15], end[15];
  };
  static int channel(std::int64_t colour, std::int64_t channel);  // 208 or 48
  double log_prob_of(const std::uint8_t* image) const;

  std::vector<Template> templates_;
  std::vector<std::int64_t> below_;  // P(value ≤ mean + k) in units of 2^-32, k = -22 … 22
  std::vector<double> log_p_;        // of a value, for means 48, 128, 208
};

DataSetDescription shapes_rgb_description();

}  // namespace likely
