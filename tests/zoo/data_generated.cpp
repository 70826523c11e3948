// Generated data against enumeration and brute force.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/parallel.h"
#include "tests/zoo/data_files.h"
#include "zoo/data/generated.h"

using namespace likely;

namespace {

// log Σ_t w_t f^d (1−f)^(n−d), pixel by pixel.
std::vector<double> joint_by_hand(const TemplateMixture& mixture, const std::uint8_t* image) {
  std::vector<double> result;
  for (std::int64_t t = 0; t < mixture.count(); ++t) {
    double log_p = std::log(mixture.weight(t));
    for (std::int64_t i = 0; i < mixture.image().numel(); ++i)
      log_p += std::log(image[i] == mixture.pixels(t)[i] ? 1 - mixture.flip() : mixture.flip());
    result.push_back(log_p);
  }
  return result;
}

double log_sum_exp(const std::vector<double>& values) {
  const double most = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const double value : values)
    sum += std::exp(value - most);
  return most + std::log(sum);
}

}  // namespace

TEST_CASE("shapes: 2880 different templates and the entropy of the definition") {
  const TemplateMixture shapes = shapes_mixture();
  REQUIRE(shapes.count() == 2880);
  std::vector<std::string> all;
  for (std::int64_t t = 0; t < shapes.count(); ++t)
    all.emplace_back(shapes.pixels(t), shapes.pixels(t) + 784);
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
  CHECK(shapes.entropy() == doctest::Approx(84.828210).epsilon(1e-8));
}

TEST_CASE("shapes: the four figures as they are defined") {
  const TemplateMixture shapes = shapes_mixture();
  const auto drawing = [&](int figure) {  // around the first centre, (8, 8), with radius 3
    const std::uint8_t* const pixels = shapes.pixels(figure * 720);
    std::string text;
    for (int y = 5; y <= 11; ++y) {
      for (int x = 5; x <= 11; ++x)
        text += pixels[y * 28 + x] ? '#' : '.';
      text += '\n';
    }
    return text;
  };
  CHECK(drawing(0) == "...#...\n.#####.\n.#####.\n#######\n.#####.\n.#####.\n...#...\n");
  CHECK(drawing(1) == "#######\n#######\n#######\n#######\n#######\n#######\n#######\n");
  CHECK(drawing(2) == "...#...\n...#...\n..###..\n..###..\n.#####.\n.#####.\n#######\n");
  CHECK(drawing(3) == "..###..\n..###..\n#######\n#######\n#######\n..###..\n..###..\n");
}

TEST_CASE("shapes: the mean of -log p is the entropy") {
  const auto data = make_data_set("shapes", {});
  const Tensor images = data->batch(Split::train, rows_up_to(20000), draw_of(3, 0));
  const std::vector<double> log_p = data->log_prob(images);
  double mean = 0, square = 0;
  for (const double value : log_p) {
    mean -= value / 20000;
    square += value * value / 20000;
  }
  const double spread = std::sqrt(square - mean * mean);
  CHECK(spread == doctest::Approx(15.3).epsilon(0.02));
  CHECK(std::abs(mean - data->entropy().value()) < 4 * spread / std::sqrt(20000.0));
}

TEST_CASE("shapes: pixels flip with probability 0.02, each as often as the other") {
  const auto data = make_data_set("shapes", {});
  const Tensor images = data->bytes(Split::train, rows_up_to(20000), draw_of(8, 0));
  double total = 0, chi_square = 0;
  for (int pixel = 0; pixel < 784; ++pixel) {
    if (pixel / 28 % 27 != 0 && pixel % 28 % 27 != 0)
      continue;  // only the border is black in every template
    double flips = 0;
    for (std::int64_t i = 0; i < 20000; ++i)
      flips += images.data<std::uint8_t>()[i * 784 + pixel];
    total += flips;
    chi_square += (flips - 400) * (flips - 400) / (400 * 0.98);
  }
  CHECK(std::abs(total - 108 * 400) < 4 * std::sqrt(108 * 400 * 0.98));
  CHECK(chi_square < 108 + 4 * std::sqrt(2.0 * 108));  // 108 border pixels
  CHECK(chi_square > 108 - 4 * std::sqrt(2.0 * 108));
}

TEST_CASE("shapes: log p, posterior and nearest template agree with sums by hand") {
  const auto data = make_data_set("shapes", {});
  const TemplateMixture& mixture = *data->templates();
  const Tensor images = data->bytes(Split::test, rows_up_to(12));
  const std::vector<double> log_p = mixture.log_prob(images);
  const Tensor posterior = mixture.posterior(images);
  const auto nearest = mixture.nearest(images);
  for (std::int64_t i = 0; i < 12; ++i) {
    const std::vector<double> joint = joint_by_hand(mixture, images.data<std::uint8_t>() + i * 784);
    const double total = log_sum_exp(joint);
    CHECK(log_p[i] == doctest::Approx(total).epsilon(1e-12));
    double sum = 0, worst = 0;
    for (std::int64_t t = 0; t < mixture.count(); ++t) {
      const double p = posterior.data<double>()[i * mixture.count() + t];
      sum += p;
      worst = std::max(worst, std::abs(p - std::exp(joint[t] - total)));
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-12));
    CHECK(worst < 1e-10);
    CHECK(nearest.index[i] == std::max_element(joint.begin(), joint.end()) - joint.begin());
    CHECK(nearest.distance[i] < 60);  // 784 · 0.02 = 15.7 expected
  }
}

TEST_CASE("templates: f32 and u8 images give the same, other values are refused") {
  const auto data = make_data_set("shapes", {});
  const std::vector<std::int64_t> rows = rows_up_to(5);
  CHECK(data->log_prob(data->batch(Split::test, rows)) ==
        data->log_prob(data->bytes(Split::test, rows)));
  Tensor grey = Tensor::of(Shape{1, 28, 28, 1}, std::vector<float>(784, 0));
  grey.data<float>()[5] = 0.25f;
  CHECK_THROWS_WITH_AS(data->log_prob(grey),
                       "templates: pixel 5 of an image is 0.25: only images of 0 and 1 have a "
                       "probability here. Sample the pixels, or compare with a half.",
                       Error);
  CHECK_THROWS_WITH_AS(data->log_prob(Tensor::of(Shape{3}, std::vector<float>(3, 0))),
                       "templates: [3] of type f32 are no contiguous f32 or u8 images of shape "
                       "[28, 28, 1].",
                       Error);
}

TEST_CASE("bars: entropy by enumeration of all outcomes") {
  for (const auto& [name, entropy] : {std::pair{"bars-4", 3.37909}, std::pair{"bars", 6.23291}}) {
    const auto data = make_data_set(name, {});
    const TemplateMixture& mixture = *data->templates();
    const auto n = static_cast<int>(data->image()[0]);
    CHECK(mixture.count() == (2 << n) - 2);
    std::map<std::string, double> probability;  // by picture
    for (int pattern = 0; pattern < 1 << n; ++pattern)
      for (const bool rows : {true, false}) {
        std::string picture;
        for (int i = 0; i < n * n; ++i)
          picture += static_cast<char>(pattern >> (rows ? i / n : i % n) & 1);
        probability[picture] += 0.5 / (1 << n);
      }
    double nats = 0;
    for (const auto& [picture, p] : probability) {
      nats -= p * std::log(p);
      const Tensor image =
          Tensor::of(Shape{1, n, n, 1}, std::vector<std::uint8_t>(picture.begin(), picture.end()));
      CHECK(mixture.log_prob(image)[0] == doctest::Approx(std::log(p)).epsilon(1e-12));
    }
    CHECK(data->entropy().value() == doctest::Approx(nats).epsilon(1e-12));
    CHECK(data->entropy().value() == doctest::Approx(entropy).epsilon(2e-6));
  }
  const double ln2 = std::log(2.0);  // n = 16 in closed form
  CHECK(bars_mixture(16).entropy() ==
        doctest::Approx(ln2 * (32 * std::exp2(-16) + (1 - std::exp2(-15)) * 17)).epsilon(1e-12));
}

TEST_CASE("bars-4: the probabilities of all 65536 images sum to 1") {
  const auto data = make_data_set("bars-4", {});
  std::vector<std::uint8_t> pixels;
  for (int image = 0; image < 1 << 16; ++image)
    for (int i = 0; i < 16; ++i)
      pixels.push_back(image >> i & 1);
  double sum = 0;
  std::int64_t possible = 0;
  for (const double log_p : data->log_prob(Tensor::of(Shape{1 << 16, 4, 4, 1}, pixels))) {
    sum += std::exp(log_p);
    possible += std::isfinite(log_p);
  }
  CHECK(sum == doctest::Approx(1).epsilon(1e-12));
  CHECK(possible == 30);
}

// ln Z and the mean of Σ s_i s_j of a 4 x 4 torus by the transfer matrix of its 16 rows.
std::pair<double, double> transfer_matrix(double beta) {
  const auto log_z = [](double b) {
    const auto spin = [](int row, int i) { return 2 * (row >> i % 4 & 1) - 1; };
    std::vector<double> matrix(256), power(256);
    for (int above = 0; above < 16; ++above)
      for (int below = 0; below < 16; ++below) {
        int alike = 0;
        for (int i = 0; i < 4; ++i)
          alike += spin(above, i) * spin(below, i) + spin(above, i) * spin(above, i + 1);
        matrix[above * 16 + below] = std::exp(b * alike);
        power[above * 16 + below] = above == below;
      }
    for (int step = 0; step < 4; ++step) {
      std::vector<double> next(256);
      for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 16; ++j)
          for (int k = 0; k < 16; ++k)
            next[i * 16 + j] += power[i * 16 + k] * matrix[k * 16 + j];
      power = next;
    }
    double trace = 0;
    for (int i = 0; i < 16; ++i)
      trace += power[i * 16 + i];
    return std::log(trace);
  };
  return {log_z(beta), (log_z(beta + 1e-5) - log_z(beta - 1e-5)) / 2e-5};
}

TEST_CASE("ising: entropy and energy are those of the transfer matrix") {
  for (const auto& [name, beta, entropy] :
       {std::tuple{"ising-0.2", 0.2, 10.31184}, std::tuple{"ising-0.4", 0.4, 5.73475}}) {
    INFO(name);
    const auto data = make_data_set(name, {});
    const auto [log_z, energy] = transfer_matrix(beta);
    CHECK(data->entropy().value() == doctest::Approx(log_z - beta * energy).epsilon(1e-9));
    CHECK(data->entropy().value() == doctest::Approx(entropy).epsilon(1e-6));

    // -log p of drawn images has the entropy as its mean.
    const std::vector<double> log_p = data->log_prob(data->batch(Split::test, rows_up_to(10000)));
    double sum = 0, squares = 0;
    for (const double nats : log_p) {
      sum -= nats / 10000;
      squares += nats * nats / 10000;
    }
    CHECK(std::abs(sum - entropy) < 4 * std::sqrt((squares - sum * sum) / 10000));
  }
}

TEST_CASE("bars: images are templates, in the right proportions") {
  const auto data = make_data_set("bars-4", {});
  const Tensor images = data->bytes(Split::train, rows_up_to(32000), draw_of(1, 0));
  const auto nearest = data->templates()->nearest(images);
  std::vector<double> counts(30);
  for (std::size_t i = 0; i < nearest.index.size(); ++i) {
    CHECK_MESSAGE(nearest.distance[i] == 0, "image ", i);
    ++counts[nearest.index[i]];
  }
  double chi_square = 0;  // 29 degrees of freedom: 58.3 is exceeded once in 1000
  for (std::int64_t t = 0; t < 30; ++t) {
    const double expected = 32000 * data->templates()->weight(t);
    chi_square += (counts[t] - expected) * (counts[t] - expected) / expected;
  }
  CHECK(chi_square < 58.3);
}

TEST_CASE("generated data: a training image follows from seed, update and row alone") {
  const auto data = make_data_set("shapes", {});
  const std::vector<std::int64_t> rows = {7, 3, 900};
  const auto first = data->batch(Split::train, rows, draw_of(5, 9)).to_vector<float>();
  CHECK(first == data->batch(Split::train, rows, draw_of(5, 9)).to_vector<float>());
  CHECK(first != data->batch(Split::train, rows, draw_of(6, 9)).to_vector<float>());
  CHECK(first != data->batch(Split::train, rows, draw_of(5, 10)).to_vector<float>());
  const std::vector<std::int64_t> alone = {3};
  const auto second = data->batch(Split::train, alone, draw_of(5, 9)).to_vector<float>();
  CHECK(std::equal(second.begin(), second.end(), first.begin() + 784));
}

TEST_CASE("generated data: held-out images are fixed by the data's seed, for any thread count") {
  const auto data = make_data_set("shapes", {});
  const std::vector<std::int64_t> rows = rows_up_to(200);
  const auto test = data->bytes(Split::test, rows).to_vector<std::uint8_t>();
  CHECK(test == data->bytes(Split::test, rows, draw_of(4, 4)).to_vector<std::uint8_t>());
  CHECK(test != data->bytes(Split::validation, rows).to_vector<std::uint8_t>());
  const auto other = make_data_set("shapes", {.seed = 18});
  CHECK(test != other->bytes(Split::test, rows).to_vector<std::uint8_t>());
  const int threads = kernels::threads();
  kernels::set_threads(1);
  CHECK(test == data->bytes(Split::test, rows).to_vector<std::uint8_t>());
  kernels::set_threads(threads);
  CHECK(data->size(Split::test) == 10000);
  CHECK(data->size(Split::train) == DataSet::endless);
}

TEST_CASE("data: a batch has the images' shape, on meta without memory") {
  const auto data = make_data_set("bars", {.device = {Device::meta}});
  const Tensor batch = data->batch(Split::train, rows_up_to(3));
  CHECK(batch.shape() == Shape{3, 8, 8, 1});
  CHECK(batch.dtype() == DType::f32);
  CHECK(batch.is_meta());
}

TEST_CASE("data: wrong rows, missing draws and needless options are named") {
  const auto data = make_data_set("bars", {});
  const std::vector<std::int64_t> beyond = {10000}, first = {0};
  CHECK_THROWS_WITH_AS(data->batch(Split::test, beyond),
                       "data: bars has no row 10000 in its test split of 10000.", Error);
  CHECK_THROWS_WITH_AS(data->batch(Split::train, first),
                       "data: the training split of bars needs a draw. Pass one of this update.",
                       Error);
  CHECK_THROWS_WITH_AS(make_data_set("bars", {.binarisation = Binarisation::sampled}),
                       "data: bars is black and white already. Leave out --binarisation sampled.",
                       UsageError);
}
