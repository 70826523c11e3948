#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/zoo/tiny_model.h"
#include "zoo/data/catalogue.h"
#include "zoo/data/templates.h"
#include "zoo/run/evaluate.h"

using namespace likely;

namespace {

// Knows the distribution of the data, off by a constant.
class Oracle : public Model {
 public:
  Oracle(const DataSet& data, double off) : data_(data), off_(off) {}
  std::vector<Network> networks() override { return {}; }
  Variable loss(std::size_t, const Batch&, Random&) override { return {}; }
  Tensor sample(std::int64_t, Random&) override { return {}; }
  Likelihood likelihood(const Tensor& images, std::int64_t, Random&,
                        const std::function<void(std::int64_t)>&) override {
    Likelihood likelihood;
    likelihood.method = "oracle";
    likelihood.log_likelihood = data_.log_prob(images);
    for (double& value : likelihood.log_likelihood)
      value -= off_;
    likelihood.terms = {{"kl_nats_per_latent", std::vector<double>{0.5, 0.25}},
                        {"active_units", 2.0}};
    return likelihood;
  }

 private:
  const DataSet& data_;
  double off_;
};

Evaluation evaluated(const DataSet& data, double off, std::int64_t count) {
  Oracle oracle(data, off);
  const Tensor images = held_out_images(data, Split::test, count, 1, Device::cpu);
  Evaluation evaluation = evaluate(oracle, data, Split::test, images, {});
  evaluation.model = "oracle";
  evaluation.parameters = 3;
  return evaluation;
}

}  // namespace

TEST_CASE("evaluate: mean, standard error and paired gap are those of the textbook") {
  const std::vector<double> model{-1, -2, -3, -6}, data{-1, -1, -1, -1};
  const Summary summary = summarise(model, data);
  CHECK(summary.nats == doctest::Approx(3));
  // Sample variance (4 + 1 + 0 + 9) / 3, over 4 values.
  CHECK(*summary.standard_error == doctest::Approx(std::sqrt(14.0 / 3 / 4)));
  CHECK(*summary.gap == doctest::Approx(2));
  CHECK(*summary.gap_standard_error == doctest::Approx(std::sqrt(14.0 / 3 / 4)));
  CHECK_FALSE(summarise(model, {}).gap);
}

TEST_CASE("evaluate: the true distribution has gap 0 without error, and KL 0") {
  const auto data = make_data_set("bars-4", {});
  const Evaluation exact = evaluated(*data, 0, 500);
  CHECK(*exact.summary.gap == doctest::Approx(0).epsilon(1e-12));
  CHECK(*exact.summary.gap_standard_error < 1e-12);
  CHECK(*exact.kl == doctest::Approx(0).epsilon(1e-10));
  const Evaluation off = evaluated(*data, 0.25, 500);
  CHECK(*off.summary.gap == doctest::Approx(0.25));
  CHECK(*off.kl == doctest::Approx(0.25));
  CHECK(off.bits_per_dimension() == doctest::Approx(off.summary.nats / (16 * std::log(2))));
}

TEST_CASE("evaluate: a subset is drawn at random, each image once, and decided by the seed") {
  const auto data = make_data_set("bars-16", {});
  const Tensor some = held_out_images(*data, Split::test, 50, 1, Device::cpu);
  const Tensor again = held_out_images(*data, Split::test, 50, 1, Device::cpu);
  const Tensor other = held_out_images(*data, Split::test, 50, 2, Device::cpu);
  const Tensor all = held_out_images(*data, Split::test, 1 << 30, 1, Device::cpu);
  CHECK(some.to_vector<float>() == again.to_vector<float>());
  CHECK(some.to_vector<float>() != other.to_vector<float>());
  CHECK(some.to_vector<float>() != all.slice(0, 0, 50).to_vector<float>());
  CHECK(all.size(0) == data->size(Split::test));
  CHECK_THROWS_WITH_AS(held_out_images(*data, Split::test, 0, 1, Device::cpu),
                       "evaluate: 0 images tell nothing. Use --count 1 or more.", UsageError);
}

TEST_CASE("evaluate: the JSON has all promised keys, null where unknown") {
  const auto data = make_data_set("shapes", {});
  Evaluation evaluation = evaluated(*data, 1, 20);
  evaluation.baselines = {{"uniform", 543.4}};
  const auto json = nlohmann::json::parse(evaluation.to_json());
  for (const char* key :
       {"model", "data", "split", "count", "negative_log_likelihood_nats", "standard_error_nats",
        "bits_per_dim", "kind", "method", "entropy_nats", "gap_nats", "gap_standard_error_nats",
        "kl_nats", "importance_samples", "baselines", "terms", "parameters", "seconds"}) {
    CAPTURE(key);
    CHECK(json.contains(key));
  }
  CHECK(json["kind"] == "exact");
  CHECK(json["kl_nats"].is_null());
  CHECK(json["entropy_nats"].get<double>() == doctest::Approx(84.828210).epsilon(1e-8));
  CHECK(json["terms"]["kl_nats_per_latent"].size() == 2);
  CHECK(json["baselines"][0]["name"] == "uniform");
}

TEST_CASE("evaluate: the table shows the ladder in order and what was passed") {
  const auto data = make_data_set("shapes", {});
  Evaluation evaluation = evaluated(*data, 0, 20);
  evaluation.summary.nats = 100;
  evaluation.baselines = {{"uniform", 543.4}, {"marginal", 206.7}, {"18 pixels", 90}};
  const std::string table = evaluation.to_table();
  const std::size_t uniform = table.find("uniform"), marginal = table.find("marginal"),
                    own = table.find("oracle  "), context = table.find("18 pixels");
  CHECK(uniform < marginal);
  CHECK(marginal < own);
  CHECK(own < context);
  CHECK(table.find("passed                    uniform and marginal\n") != std::string::npos);
  CHECK(table.find("nats/image on shapes, exact") != std::string::npos);
}

TEST_CASE("evaluate: one image has no standard error, in no table") {
  const auto data = make_data_set("shapes", {});
  Evaluation evaluation = evaluated(*data, 1, 1);
  CHECK_FALSE(evaluation.summary.standard_error);
  CHECK_FALSE(evaluation.summary.gap_standard_error);
  evaluation.likelihood.sweep = {{1, 2.5, {}}, {10, 2.25, {}}};
  const auto json = nlohmann::json::parse(evaluation.to_json());
  CHECK(json["negative_log_likelihood_nats"].is_number());
  for (const char* key : {"standard_error_nats", "gap_standard_error_nats"}) {
    CAPTURE(key);
    CHECK(json[key].is_null());
  }
  CHECK(json["sweep"][0]["standard_error_nats"].is_null());
  const std::string table = evaluation.to_table();
  CHECK(table.find("±") == std::string::npos);
  CHECK(table.find("1.000 (one image: no standard error) nats/image, paired") != std::string::npos);
}

TEST_CASE("evaluate: a number that is not finite is named with its model and image") {
  const auto data = make_data_set("bars-4", {});
  Oracle infinite(*data, std::numeric_limits<double>::infinity()), finite(*data, 0);
  const Tensor images = held_out_images(*data, Split::test, 20, 1, Device::cpu);
  const auto words_of = [&](Model& model) {
    return evaluate(model, *data, Split::test, images, {.model = "oracle"}).not_finite;
  };
  CHECK(words_of(finite).empty());
  CHECK(words_of(infinite) ==
        "evaluate: -log p of 20 of the 20 test images is not finite; of the first, number 1, it is "
        "inf, of oracle on bars-4. The weights are finite, but what is computed from them "
        "overflows. Train anew with a lower --rate.");
}
