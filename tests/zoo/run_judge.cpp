// Judges on samples whose worth is known: real ones, one mode again and again, and noise.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "tests/zoo/figures.h"
#include "zoo/data/catalogue.h"
#include "zoo/data/points.h"
#include "zoo/data/templates.h"
#include "zoo/run/evaluate.h"

using namespace likely;

namespace {

// A model that is nothing but its samples.
class OnlySamples : public Model {
 public:
  using Draws = std::function<Tensor(std::int64_t count, Random& random)>;
  explicit OnlySamples(Draws draws) : draws_(std::move(draws)) {}
  std::vector<Network> networks() override { return {}; }
  Variable loss(std::size_t, const Batch&, Random&) override { return {}; }
  Tensor sample(std::int64_t count, Random& random) override { return draws_(count, random); }

 private:
  Draws draws_;
};

std::map<std::string, double> judged(const DataSet& data, std::int64_t count,
                                     const OnlySamples::Draws& draws) {
  OnlySamples model(draws);
  Random random(make_step_state({.seed = 3}));
  return by_key(judge_samples(data, model, count, random));
}

Tensor uniform_points(std::int64_t count, Random& random) {
  return kernels::uniform({count, 2}, random.draw("test/noise"));
}

Tensor coins(std::int64_t count, Random& random) {
  return kernels::uniform({count, 28, 28, 1}, random.draw("test/noise"));
}

}  // namespace

TEST_CASE("judge: real points cover every mode, 99.97 % within 4 sd") {
  for (const auto& [name, modes] : {std::pair{"rings", 8}, std::pair{"grid", 25}}) {
    const auto data = make_data_set(name, {});
    auto real = by_key(judge_real(*data, 10000));
    CHECK(real["modes_covered"] == modes);
    const double outside = std::exp(-8.0);  // of a round Gaussian, beyond 4 sd
    CHECK(std::abs(real["share_within_4_sd"] - (1 - outside)) < 4 * std::sqrt(outside / 10000));
  }
}

TEST_CASE("judge: one mode again and again covers one, noise covers none") {
  const auto data = make_data_set("rings", {});
  auto collapsed = judged(*data, 1000, [&](std::int64_t count, Random&) {
    const Point& centre = data->modes()->centres()[3];
    return kernels::concatenate(
        {kernels::full({count, 1}, centre[0]), kernels::full({count, 1}, centre[1])}, 1);
  });
  CHECK(collapsed["modes_covered"] == 1);
  CHECK(collapsed["share_within_4_sd"] == 1);
  auto noise = judged(*data, 1000, uniform_points);
  CHECK(noise["modes_covered"] == 0);
  CHECK(noise["share_within_4_sd"] < 0.02);
}

TEST_CASE("judge: a mode needs 1 % of the samples") {
  const auto data = make_data_set("rings", {});
  const auto with = [&](int at_second) {
    const auto judge = judge_of(*data, nullptr);
    std::vector<float> values;
    for (int i = 0; i < 500; ++i)
      for (const double x : data->modes()->centres()[i < at_second ? 1 : 0])
        values.push_back(static_cast<float>(x));
    judge->add(Tensor::of(Shape{500, 2}, values));
    return by_key(judge->figures())["modes_covered"];
  };
  CHECK(with(4) == 1);
  CHECK(with(5) == 2);
}

TEST_CASE("judge: real shapes have 15.67 flips and cover 2373 templates of 5000 images") {
  const auto data = make_data_set("shapes", {});
  auto real = by_key(judge_real(*data, 5000));
  CHECK(std::abs(real["mean_flips"] - 15.67) < 4 * 3.92 / std::sqrt(5000.0));
  CHECK(real["share_within_31_flips"] > 0.998);
  // 2880 (1 - (1 - 1/2880)^5000) = 2373 expected; the number of empty cells spreads by 15.
  CHECK(std::abs(real["templates_covered"] - 2373) < 60);
  CHECK(by_key(judge_real(*data, 10000))["kl_templates_nats"] ==
        doctest::Approx(0.156).epsilon(0.05));
}

TEST_CASE("judge: one template again and again is ln 2880 nats away, noise is no template") {
  const auto data = make_data_set("shapes", {});
  auto collapsed = judged(*data, 300, [&](std::int64_t count, Random&) {
    const std::uint8_t* const pixels = data->templates()->pixels(700);
    std::vector<float> values;
    for (std::int64_t i = 0; i < count * 784; ++i)
      values.push_back(pixels[i % 784] ? 0.5f : 0.49f);  // white from one half on
    return Tensor::of(Shape{count, 28, 28, 1}, values);
  });
  CHECK(collapsed["mean_flips"] == 0);
  CHECK(collapsed["templates_covered"] == 1);
  CHECK(collapsed["kl_templates_nats"] == doctest::Approx(std::log(2880.0)));
  auto noise = judged(*data, 300, coins);
  CHECK(noise["share_within_31_flips"] == 0);
  CHECK(noise["templates_covered"] == 0);
  CHECK(std::isnan(noise["kl_templates_nats"]));
}

TEST_CASE("judge: bars without noise are judged by their weights") {
  const auto data = make_data_set("bars-4", {});
  auto real = by_key(judge_real(*data, 10000));
  CHECK(real["share_within_31_flips"] == 1);
  CHECK(real["templates_covered"] == 30);
  CHECK(real["kl_templates_nats"] < 29.0 / (2 * 10000) * 2.5);  // half of chi-square / n expected
}

TEST_CASE("judge: what does not look like the data is refused") {
  const auto data = make_data_set("shapes", {});
  CHECK_THROWS_AS(judged(*data, 10, uniform_points), Error);
}

TEST_CASE("evaluate: a model without likelihood is judged, beside real data at the same number") {
  const auto data = make_data_set("rings", {});
  OnlySamples model(uniform_points);
  const Tensor images = held_out_images(*data, Split::test, 10, 1, Device::cpu);
  std::vector<std::int64_t> heard;
  Evaluation evaluation = evaluate(
      model, *data, Split::test, images,
      {.model = "only samples", .samples = 600, .done = [&](std::int64_t done, std::int64_t of) {
         heard.push_back(done);
         CHECK(of == 600);
       }});
  CHECK(heard == std::vector<std::int64_t>{256, 512, 600});
  evaluation.model = "noise";
  evaluation.parameters = 3;
  evaluation.untrained = evaluation.samples;
  const auto json = nlohmann::json::parse(evaluation.to_json());
  for (const char* key :
       {"model", "data", "count", "modes_covered", "share_within_4_sd", "templates_covered",
        "share_within_31_flips", "kl_templates_nats", "w1_estimate", "classes_covered",
        "kl_classes_nats", "frechet_distance", "frechet_floor", "real", "untrained"}) {
    CAPTURE(key);
    CHECK(json.contains(key));
  }
  CHECK(json["modes_covered"] == 0);
  CHECK(json["real"]["modes_covered"] == 8);
  CHECK(json["templates_covered"].is_null());
  evaluation.seconds = 1;
  const std::string table = evaluation.to_table();
  CHECK(table.starts_with("noise on rings: 600 samples, 3 parameters, 1.0 s\n"));
  CHECK(table.find("modes covered, of 8") != std::string::npos);
}
