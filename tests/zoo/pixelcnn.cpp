// The gated PixelCNN: beside PyTorch's masked kernels, by enumeration, and by its gradients.
#include "zoo/models/pixelcnn.h"

#include <numeric>

#include "tests/zoo/pixels.h"

using namespace likely;

namespace {

const Shape small_image{6, 5, 1};

// Each kind of head, for images that it can be enumerated on.
struct Kind {
  const char* head;
  Shape image;
  std::int64_t levels;
};
const std::vector<Kind> kinds{{"binary", {3, 4, 1}, 2},
                              {"softmax", {2, 2, 2}, 3},
                              {"mixture", {2, 2, 2}, 3},
                              {"mixture", {2, 2, 1}, 7}};

std::unique_ptr<PixelModel> model_of(const Kind& kind) {
  return make_pixelcnn(kind.image, kind.levels, {.width = 5, .layers = 2, .head = {kind.head, 3}});
}

}  // namespace

TEST_CASE("pixelcnn: probabilities, loss and gradients agree with PyTorch's masked kernels") {
  check_golden(*make_pixelcnn(small_image, 2, {.width = 4, .layers = 2}), "pixelcnn.safetensors");
}

TEST_CASE("pixelcnn: in colour, they agree with PyTorch's too") {
  check_golden(*make_pixelcnn({6, 5, 3}, 5, {.width = 4, .layers = 2, .head = {"softmax"}}),
               "pixelcnn-colour.safetensors");
}

TEST_CASE("pixelcnn: the published network has 633,473 parameters") {
  CHECK(module_of(*make_pixelcnn({28, 28, 1}, 2, {})).parameter_count() == 633473);
}

TEST_CASE("pixelcnn: with every head the probabilities of all images add up to 1") {
  for (const Kind& kind : kinds) {
    CAPTURE(kind.head);
    CHECK(std::abs(total_probability(*in_f64(model_of(kind)), kind.image, kind.levels) - 1) <
          1e-12);
  }
}

TEST_CASE("pixelcnn: the likelihood of an image is the product of its elements' probabilities") {
  for (const Kind& kind : kinds) {
    CAPTURE(kind.head);
    const auto model = in_f64(model_of(kind));
    const Tensor x = scattered(5, kind.image, kind.levels, DType::f64);
    const std::vector<double> each = kernels::to_doubles(model->log_probabilities(x, {}).value()),
                              values = kernels::to_doubles(x),
                              found = kernels::to_doubles(model->log_prob(x).value());
    const std::int64_t elements = kind.image.numel();
    for (std::int64_t n = 0; n < 5; ++n) {
      double product = 0;
      for (std::int64_t i = n * elements; i < (n + 1) * elements; ++i)
        product += each[static_cast<std::size_t>(
            i * kind.levels + std::lround(values[static_cast<std::size_t>(i)] *
                                          static_cast<double>(kind.levels - 1)))];
      CHECK(found[static_cast<std::size_t>(n)] == doctest::Approx(product).epsilon(1e-12));
    }
  }
}

// Every element depends on all before it, and on no other.
static void check_sees_all_before(const PixelModel& model, const Shape& image, int levels) {
  std::set<std::int64_t> before;
  for (std::int64_t i = 0; i < image.numel(); ++i) {
    INFO(i);
    CHECK(seen_by(model, image, levels, i) == before);
    before.insert(i);
  }
}

// Two layers after the first see five pixels up and to every side that is before: no blind spot.
TEST_CASE("pixelcnn: a pixel depends on every pixel before it, and on no other") {
  const auto model = in_f64(make_pixelcnn(small_image, 2, {.width = 16, .layers = 2}));
  CHECK(!model->has_blind_spot());
  check_sees_all_before(*model, small_image, 2);
}

TEST_CASE("pixelcnn: in colour, green depends on its pixel's red, blue on red and green too") {
  const Shape image{3, 3, 3};
  for (const char* head : {"softmax", "mixture"}) {
    CAPTURE(head);
    const auto model =
        in_f64(make_pixelcnn(image, 4, {.width = 16, .layers = 2, .head = {head, 3}}));
    check_sees_all_before(*model, image, 4);
  }
}

TEST_CASE("pixelcnn: element by element, the probabilities are those of a pass over whole images") {
  for (const Kind& kind : {Kind{"binary", small_image, 2}, Kind{"softmax", {4, 3, 3}, 6},
                           Kind{"mixture", {4, 3, 3}, 6}}) {
    CAPTURE(kind.head);
    const auto model = model_of(kind);
    module_of(*model).initialise(3);
    check_prefix(*model, kind.image, kind.levels);
  }
  const auto model = make_pixelcnn(small_image, 2, {.width = 6, .layers = 2, .condition = {3, 0}});
  module_of(*model).initialise(3);
  check_prefix(*model, small_image, 2, Tensor::of({3}, std::vector<std::int64_t>{2, 0, 1}));
}

TEST_CASE(
    "pixelcnn: given a label the probabilities add up to 1, and differ from another label's") {
  const Shape image{3, 3, 1};
  const auto model =
      in_f64(make_pixelcnn(image, 2, {.width = 5, .layers = 2, .condition = {3, 0.1}}));
  const Tensor x = all_images(image, 2);
  const auto probabilities = [&](std::int64_t label) {
    const Tensor labels = kernels::full({512}, static_cast<double>(label), DType::i64);
    return kernels::to_doubles(exp(model->log_prob(x, labels)).value());
  };
  std::vector<double> mixed(512);
  for (std::int64_t label = 0; label <= 3; ++label) {  // 3: none
    const std::vector<double> given = probabilities(label);
    CHECK(std::accumulate(given.begin(), given.end(), 0.0) == doctest::Approx(1).epsilon(1e-12));
    CHECK(relative_distance(Tensor::of({512}, given), Tensor::of({512}, probabilities(0))) >
          (label == 0 ? -1 : 1e-3));
    for (std::size_t i = 0; i < mixed.size() && label < 3; ++i)
      mixed[i] += given[i] / 3;
  }
  Random random(make_step_state({}));
  const Likelihood found = model->likelihood(x, 1, random, {});
  for (std::size_t i = 0; i < mixed.size(); ++i)
    CHECK(std::exp(found.log_likelihood[i]) == doctest::Approx(mixed[i]).epsilon(1e-12));
}

TEST_CASE(
    "pixelcnn: a head that is not for the data's levels is refused, and so is guidance of a "
    "mixture") {
  const ModelDescription description = pixelcnn_description();
  Settings settings(description.settings, Preset::quick);
  CHECK_THROWS_WITH_AS(description.make(settings, {"mnist, grey", {28, 28, 1}, 256}),
                       "--head binary: the pixels of mnist, grey have 256 levels. Use --head "
                       "softmax or --head mixture, or another --data.",
                       UsageError);
  settings.set("head", std::string("mixture"));
  CHECK_THROWS_WITH_AS(description.make(settings, {"bars", {4, 4, 1}, 2}),
                       "--head mixture: the pixels of bars have 2 levels. Use --head binary.",
                       UsageError);

  const auto model = make_pixelcnn(
      small_image, 4, {.width = 4, .layers = 1, .head = {"mixture", 2}, .condition = {3, 0.1}});
  module_of(*model).initialise(3);
  Random random(make_step_state({}));
  CHECK_THROWS_WITH_AS(
      model->sample_given(Tensor::of({1}, std::vector<std::int64_t>{0}), 2, random),
      "sample: guidance is defined for logits, and a mixture has other parameters "
      "too. Use --guidance 1, or train with --head softmax.",
      UsageError);
}
