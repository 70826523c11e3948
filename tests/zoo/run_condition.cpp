// Labels that models are given: in batches, dropped, and as guidance.
#include <algorithm>

#include "autograd/ops.h"
#include "tests/zoo/tiny_run.h"
#include "zoo/data/stored.h"
#include "zoo/run/condition.h"
#include "zoo/run/pictures.h"

using namespace likely;

namespace {

// Takes labels below 3. Its samples show their label, times the guidance.
class Labelled : public TinyModel {
 public:
  using TinyModel::TinyModel;
  std::int64_t classes() const override { return 3; }
  Tensor sample_given(const Tensor& labels, double guidance, Random&) override {
    std::vector<float> values;
    for (const std::int64_t label : labels.to_vector<std::int64_t>())
      values.insert(values.end(), 4, static_cast<float>(guidance * static_cast<double>(label) / 8));
    return Tensor::of({labels.size(0), 2, 2, 1}, values);
  }
};

ModelDescription labelled_description() {
  ModelDescription description = tiny_description();
  description.make = [](const Settings& settings, const DataInfo& data) {
    return std::make_unique<Labelled>(settings, data);
  };
  return description;
}

// 25 images of 2 x 2 whose bytes are their label.
std::unique_ptr<DataSet> labelled_set() {
  const std::int64_t count = 25;
  std::vector<std::uint8_t> labels, pixels;
  for (std::int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<std::uint8_t>(i * i % 3));
    pixels.insert(pixels.end(), 4, labels.back());
  }
  StoredSplit all{Tensor::of({count, 2, 2, 1}, pixels), Tensor::of({count}, labels), "all"};
  return make_stored("labels", {2, 2, 1}, {all, all, all}, {}, 3);
}

Random random_of(std::uint64_t seed) { return Random(make_step_state({.seed = seed})); }

}  // namespace

TEST_CASE("condition: a batch has the labels of its images, in every order of every epoch") {
  const auto data = labelled_set();
  const ModelDescription description = labelled_description();
  Trainer trainer(description, resolve(description, {}, {}), *data, Device::cpu);
  for (int i = 0; i < 9; ++i) {
    const Batch batch = trainer.next_batch();
    const std::vector<std::int64_t> labels = batch.condition.to_vector<std::int64_t>();
    const std::vector<float> pixels = batch.images.to_vector<float>();
    REQUIRE(labels.size() * 4 == pixels.size());
    for (std::size_t j = 0; j < labels.size(); ++j)
      CHECK(pixels[4 * j] == static_cast<float>(labels[j]) / 255);
  }
}

TEST_CASE("condition: a model that takes no labels gets none") {
  const auto data = labelled_set();
  const ModelDescription description = tiny_description();
  Trainer trainer(description, resolve(description, {}, {}), *data, Device::cpu);
  CHECK(!trainer.next_batch().condition.defined());
}

TEST_CASE("condition: labels are dropped as often as asked, and else left as they are") {
  std::vector<std::int64_t> given;
  for (std::int64_t i = 0; i < 10000; ++i)
    given.push_back(i % 10);
  Random random = random_of(5);
  const std::vector<std::int64_t> seen =
      drop_some(Tensor::of({10000}, given), {10, 0.2}, random.draw("label"))
          .to_vector<std::int64_t>();
  std::int64_t dropped = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    CHECK((seen[i] == given[i] || seen[i] == 10));
    dropped += seen[i] == 10;
  }
  CHECK(dropped == doctest::Approx(2000).epsilon(0.1));  // 5 standard deviations
  CHECK(drop_some(Tensor::of({10000}, given), {10, 0}, random.draw("label"))
            .to_vector<std::int64_t>() == given);
}

TEST_CASE("condition: guidance goes from what is said without a label through what is said with") {
  const Tensor labels = Tensor::of({2}, std::vector<std::int64_t>{4, 1});
  const Guidance guidance({5, 0.1}, labels, 3);
  CHECK(guidance.labels().to_vector<std::int64_t>() == std::vector<std::int64_t>{4, 1, 5, 5});
  const Tensor said = Tensor::of({4, 1}, std::vector<float>{10, 20, 1, 2});
  CHECK(guidance(said).value().to_vector<float>() == std::vector<float>{28, 56});
  const Tensor x = Tensor::of({2, 1}, std::vector<float>{6, 7});
  CHECK(guidance.copied(x).to_vector<float>() == std::vector<float>{6, 7, 6, 7});

  const Guidance one({5, 0}, labels, 1);
  CHECK(one.copies() == 1);
  CHECK(one.labels().to_vector<std::int64_t>() == std::vector<std::int64_t>{4, 1});
}

TEST_CASE("condition: guidance needs a network that saw images without a label") {
  CHECK_THROWS_WITH_AS(Guidance({5, 0}, Tensor::of({1}, std::vector<std::int64_t>{0}), 2),
                       "sample: --guidance 2 asks what the network says without a label, which it "
                       "did not learn. Use --guidance 1, or train with --drop-label 0.1.",
                       UsageError);
}

TEST_CASE("condition: labels are refused of data that has none") {
  Settings settings(condition_settings(), Preset::quick);
  CHECK(condition_of(settings, {"shapes", {28, 28, 1}, 2}).classes == 0);
  settings.set("condition", std::string("label"));
  CHECK_THROWS_WITH_AS(
      condition_of(settings, {"shapes", {28, 28, 1}, 2}),
      "--condition label: shapes has no labels. Choose another --data (of mnist, another "
      "--binarisation than fixed).",
      UsageError);
  CHECK(condition_of(settings, {"mnist", {28, 28, 1}, 2, 10}).rows() == 11);
  settings.set("drop-label", 0.0);
  CHECK(condition_of(settings, {"mnist", {28, 28, 1}, 2, 10}).rows() == 10);
}

TEST_CASE("condition: samples lie in rows of a label each, or are all of the one asked for") {
  const auto data = labelled_set();
  const ModelDescription description = labelled_description();
  const Configuration configuration = resolve(description, {}, {});
  Trainer trainer(description, configuration, *data, Device::cpu);
  Pictures pictures(trainer, nullptr, Device::cpu, "tiny");
  CHECK(pictures.usual_count() == 24);
  const std::vector<std::uint8_t> rows = pictures.samples(24, 1).to_vector<std::uint8_t>(),
                                  twos = pictures.samples(5, 1, {2, 3}).to_vector<std::uint8_t>();
  for (std::size_t i = 0; i < rows.size(); ++i)
    CHECK(rows[i] == std::lround(255 * static_cast<double>(i / 4 / 8) / 8));
  CHECK(twos == std::vector<std::uint8_t>(20, 191));  // 3 · 2 / 8
}

TEST_CASE("condition: sample refuses a label of a run without any") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"steps", "2"}}) == 0);
  for (const auto& [option, value] : {std::pair("--label", "3"), {"--guidance", "2"}}) {
    const Outcome outcome =
        outcome_of(tiny_description(), {"sample", folder / "run", option, value});
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.error.find("sample: this run's tiny takes no labels. Leave out --label and "
                             "--guidance.") != std::string::npos);
  }
}
