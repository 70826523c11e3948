// shapes-rgb against its definition, and against sums over all templates.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/zoo/data_files.h"
#include "zoo/data/generated.h"
#include "zoo/data/shapes_rgb.h"

using namespace likely;

namespace {

constexpr std::int64_t values = 32 * 32 * 3;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// P(v | m), the ends taking the tails.
double probability(int value, int mean) {
  const double above = value == 255 ? 1 : sigmoid(value + 0.5 - mean);
  const double below = value == 0 ? 0 : sigmoid(value - 0.5 - mean);
  return above - below;
}

std::string picture(const ShapesRgb& law, std::int64_t t) {
  std::string text;
  for (std::int64_t i = 0; i < values; ++i)
    text += static_cast<char>(law.mean(t, i));
  return text;
}

}  // namespace

TEST_CASE("shapes-rgb: the templates of the definition, all different") {
  const ShapesRgb law;
  std::set<std::string> all;
  for (std::int64_t t = 0; t < ShapesRgb::count; t += 7)
    CHECK(all.insert(picture(law, t)).second);
  // Template 0 is the red disc of radius 3 around (10, 10), number 4 around the same is cyan.
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x) {
      const bool in = inside(Form::disc, x - 10, y - 10, 3);
      CHECK(law.mean(0, (y * 32 + x) * 3) == (in ? 208 : 128));
      CHECK(law.mean(0, (y * 32 + x) * 3 + 1) == (in ? 48 : 128));
      CHECK(law.mean(4, (y * 32 + x) * 3) == (in ? 48 : 128));
      CHECK(law.mean(4, (y * 32 + x) * 3 + 2) == (in ? 208 : 128));
    }
}

TEST_CASE("shapes-rgb: every row of every figure is the interval that the definition says") {
  const ShapesRgb law;
  std::int64_t wrong = 0;
  for (std::int64_t shape = 0; shape < 2880; shape += 11) {
    const auto r = static_cast<int>(3 + shape % 5), cx = static_cast<int>(10 + shape / 5 % 12),
               cy = static_cast<int>(10 + shape / 60 % 12);
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x)
        wrong += (law.mean(shape * 6, (y * 32 + x) * 3) == 208) !=
                 inside(forms[shape / 720], x - cx, y - cy, r);
  }
  CHECK(wrong == 0);
}

TEST_CASE("shapes-rgb: entropies of the definition, with and without the caption") {
  const ShapesRgb law;
  double h = 0;
  for (int value = 0; value < 256; ++value)
    if (const double p = probability(value, 128); p > 0)
      h -= p * std::log(p);
  CHECK(h == doctest::Approx(2.0136843).epsilon(1e-7));
  CHECK(law.entropy() == doctest::Approx(std::log(17280.0) + 3072 * h).epsilon(1e-10));
  CHECK(law.entropy() == doctest::Approx(6195.7955).epsilon(1e-8));
  // Captions: 6 colours, 4 shapes, 9 places, and sizes of 2, 1 and 2 in 5.
  const double captions = std::log(6.0 * 4 * 9) - 0.8 * std::log(0.4) - 0.2 * std::log(0.2);
  CHECK(law.entropy_given_caption() == doctest::Approx(law.entropy() - captions).epsilon(1e-12));
  CHECK(law.entropy_given_caption() == doctest::Approx(6189.3653).epsilon(1e-8));
}

TEST_CASE("shapes-rgb: log p is the log-sum-exp over all templates") {
  const auto data = make_data_set("shapes-rgb", {});
  const ShapesRgb law;
  Tensor image = data->bytes(Split::test, rows_up_to(1));
  image.data<std::uint8_t>()[5] = 0;  // the tails too
  image.data<std::uint8_t>()[6] = 255;
  double log_p[3][256];
  for (int m = 0; m < 3; ++m)
    for (int value = 0; value < 256; ++value)
      log_p[m][value] = std::log(probability(value, 48 + 80 * m));
  log_p[1][0] = -127.5;  // log σ(0.5 − 128), where the difference above has lost all digits
  log_p[1][255] = std::log(sigmoid(-(255 - 0.5 - 128)));
  std::vector<double> joint;
  for (std::int64_t t = 0; t < ShapesRgb::count; t += 1) {
    double sum = -std::log(17280.0);
    for (std::int64_t i = 0; i < values; ++i)
      sum += log_p[(law.mean(t, i) - 48) / 80][image.data<std::uint8_t>()[i]];
    joint.push_back(sum);
  }
  const double most = *std::max_element(joint.begin(), joint.end());
  double sum = 0;
  for (const double value : joint)
    sum += std::exp(value - most);
  CHECK(law.log_prob(image)[0] == doctest::Approx(most + std::log(sum)).epsilon(1e-10));
}

TEST_CASE(
    "shapes-rgb: values follow the discretised logistic, and -log p has the entropy as mean") {
  const ShapesRgb law;
  std::vector<double> share(256);
  for (std::uint32_t i = 0; i < 1 << 16; ++i)
    share[law.value(128, (i << 16) + (1 << 15))] += 0x1p-16;
  for (int value = 100; value < 156; ++value)
    CHECK(std::abs(share[value] - probability(value, 128)) < 0x1p-15);
  const auto data = make_data_set("shapes-rgb", {});
  constexpr std::int64_t n = 300;
  double mean = 0, square = 0;
  for (const double log_p :
       data->log_prob(data->batch(Split::train, rows_up_to(n), draw_of(5, 1)))) {
    mean -= log_p / n;
    square += log_p * log_p / n;
  }
  const double error = std::sqrt((square - mean * mean) / n);
  CHECK(error < 5);
  CHECK(std::abs(mean - *data->entropy()) < 4 * error);
}

TEST_CASE("shapes-rgb: captions say what the images of the same rows and draw show") {
  const ShapesRgb law;
  CHECK(law.caption(0) == "small red disc, top left");
  CHECK(law.caption(ShapesRgb::count - 1) == "large magenta cross, bottom right");
  const auto data = make_data_set("shapes-rgb", {});
  const std::vector<std::int64_t> rows = {4, 900};
  const auto captions = data->captions(Split::train, rows, draw_of(5, 7));
  const Tensor images = data->bytes(Split::train, rows, draw_of(5, 7));
  for (std::size_t i = 0; i < 2; ++i) {
    const Tensor image =
        images.slice(0, static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1);
    // The template that the image is nearest to.
    std::int64_t best = 0, least = 1 << 30;
    for (std::int64_t t = 0; t < ShapesRgb::count; ++t) {
      std::int64_t distance = 0;
      for (std::int64_t v = 0; v < values && distance < least; ++v)
        distance += std::abs(law.mean(t, v) - image.data<std::uint8_t>()[v]);
      if (distance < least)
        least = distance, best = t;
    }
    CHECK(law.caption(best) == captions[i]);
  }
  CHECK(captions != data->captions(Split::train, rows, draw_of(5, 8)));
  CHECK(make_data_set("bars", {})->captions(Split::test, rows) == std::vector<std::string>(2));
}

TEST_CASE("shapes-rgb: what has no probability is refused") {
  const ShapesRgb law;
  std::vector<float> grey(values, 0.5f);
  CHECK_THROWS_WITH_AS(
      law.log_prob(Tensor::of(Shape{1, 32, 32, 3}, grey)),
      "shapes-rgb: a pixel is 0.5: only bytes / 255 have a probability here. Round "
      "them.",
      Error);
  CHECK_THROWS_WITH_AS(law.log_prob(Tensor::of(Shape{3}, std::vector<float>(3))),
                       "shapes-rgb: [3] of type f32 are no u8 or f32 images of shape [32, 32, 3].",
                       Error);
  CHECK_THROWS_WITH_AS(make_data_set("shapes-rgb", {.binarisation = Binarisation::sampled}),
                       "data: shapes-rgb is in colour. Leave out --binarisation sampled.",
                       UsageError);
}
