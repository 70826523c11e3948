// The classifier on images that a glance tells apart, its place in the cache, and what it makes of
// samples.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "kernels/copy.h"
#include "tests/zoo/data_files.h"
#include "tests/zoo/figures.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/classifier.h"
#include "zoo/run/frechet.h"

using namespace likely;

namespace {

// 8 x 8 noise whose class is the quarter that is bright; in the order of the classes, as files can
// be.
class Quarters final : public DataSet {
 public:
  Quarters() : DataSet("quarters, grey", {8, 8, 1}, 256, 17, Device::cpu) {}
  std::int64_t size(Split split) const override { return split == Split::train ? 512 : 256; }
  std::string of = DataSet::content();
  std::string content() const override { return of; }
  Tensor labels(Split split) const override {
    std::vector<std::uint8_t> values;
    for (std::int64_t row = 0; row < size(split); ++row)
      values.push_back(static_cast<std::uint8_t>(quarter(split, row)));
    return Tensor::of({size(split)}, values);
  }

 private:
  std::int64_t quarter(Split split, std::int64_t row) const { return 4 * row / size(split); }
  void write_image(Split split, std::int64_t row, const ImageWords& words,
                   std::uint8_t* pixels) const override {
    for (int i = 0; i < 64; ++i) {
      const bool bright = i / 32 * 2 + i % 8 / 4 == quarter(split, row);
      pixels[i] = static_cast<std::uint8_t>(words.block(i / 4).word[i % 4] % 128 + 127 * bright);
    }
  }
};

// The same classifier in all tests here.
std::unique_ptr<Classifier> trained(const DataSet& data) {
  auto classifier = std::make_unique<Classifier>(data);
  classifier->train(data, 8);
  return classifier;
}

Tensor test_images(const DataSet& data, const std::vector<std::int64_t>& rows) {
  return data.batch(Split::test, rows);
}

}  // namespace

TEST_CASE("classifier: learns what tells the classes apart, the same bits each time") {
  const Quarters data;
  const auto classifier = trained(data);
  CHECK(classifier->classes() == 4);
  CHECK(classifier->accuracy(data) > 0.98);
  const Tensor images = test_images(data, rows_up_to(256));
  const Classifier::Seen seen = classifier->look(images);
  CHECK(seen.features.shape() == Shape{256, Classifier::width});
  CHECK(seen.classes[6] == 0);
  CHECK(seen.classes[250] == 3);
  const auto again = trained(data);
  CHECK(again->look(images).features.to_vector<float>() == seen.features.to_vector<float>());
}

TEST_CASE("judge by classes: real images cover all, one class again and again covers one") {
  const Quarters data;
  const ClassReference reference(data, trained(data));
  CHECK(reference.shares() == std::vector<double>(4, 0.25));
  auto real = by_key(judge_real(data, 256, &reference));
  CHECK(real["classes_covered"] == 4);
  CHECK(real["kl_classes_nats"] < 0.01);
  CHECK(real["precision"] > 0.9);
  CHECK(real["recall"] > 0.9);

  const auto judge = judge_of(data, &reference);
  judge->add(test_images(data, rows_up_to(64)));  // all of the first class
  auto collapsed = by_key(judge->figures());
  CHECK(collapsed["classes_covered"] == 1);
  CHECK(collapsed["kl_classes_nats"] == doctest::Approx(std::log(4)).epsilon(0.05));
  CHECK(collapsed["frechet_distance"] > 10 * real["frechet_distance"]);
  CHECK(collapsed["recall"] < 0.5);
  CHECK(judge->figures()[2].label == "FD-conv5x5-64-128@64 vs test");
}

TEST_CASE("classifier: is kept in the cache, said, and trained anew where its file is damaged") {
  const TemporaryFolder cache;
  setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  Quarters data;
  std::vector<std::string> said;
  std::int64_t steps = 0;
  const auto cached = [&] {
    said.clear();
    steps = 0;
    return cached_classifier(
        data, [&](const std::string& text) { said.push_back(text); },
        [&](std::int64_t done, std::int64_t) { steps = done; });
  };
  const std::string file = "likely/conv5x5-64-128-quarters-grey-generated-version-1.safetensors";
  const CachedClassifier first = cached();
  CHECK(steps == 5 * 4);
  CHECK(said.front() == "classifier: none of quarters, grey yet: training one for " + cache / file);
  const CachedClassifier second = cached();
  CHECK(steps == 0);
  CHECK(said.size() == 1);
  CHECK(second.accuracy == first.accuracy);
  const Tensor images = test_images(data, rows_up_to(5));
  CHECK(second.classifier->look(images).features.to_vector<float>() ==
        first.classifier->look(images).features.to_vector<float>());
  cache.write(file, Bytes(100, 7));
  cached();
  CHECK(steps == 20);
  cached();
  CHECK(steps == 0);
  data.of = "sha256 0123456789abcdef0123456789abcdef";  // the same name, other images
  cached();
  CHECK(steps == 20);
  CHECK(std::filesystem::exists(
      cache / "likely/conv5x5-64-128-quarters-grey-sha256-0123456789abcdef.safetensors"));
  unsetenv("XDG_CACHE_HOME");
}

TEST_CASE("classifier: a set without labels has none") {
  const auto data = make_data_set("shapes", {});
  CHECK_THROWS_WITH_AS(trained(*data), "classifier: shapes has no labels to learn from.", Error);
}
