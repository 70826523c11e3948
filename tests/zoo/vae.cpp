#include "zoo/models/vae.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "zoo/run/latents.h"

namespace likely {
ModelDescription vae_description();
}

using namespace likely;

namespace {

Vae::Options small_options() { return {.hidden = 12, .latents = 3, .layers = 1}; }

Tensor binary_images(std::int64_t count, Random& random) {
  return kernels::bernoulli(kernels::full({count, 4, 4, 1}, 0.4), random.draw("test/images"));
}

}  // namespace

TEST_CASE("vae: the paper's network has 815,824 parameters") {
  CHECK(Vae({28, 28, 1}, {}).module().parameter_count() == 815'824);
}

TEST_CASE("latents: a path leads from one draw to another, each step as long as a draw") {
  const std::int64_t latents = 4000;
  const Draw draw{make_step_state({.seed = 2}), purpose_hash("test/path"), 0};
  const Tensor path = latent_paths(2, 5, latents, draw);
  const Tensor ends = kernels::normal({2, 2, latents}, draw);
  REQUIRE(path.shape() == Shape{10, latents});
  for (std::int64_t row = 0; row < 2; ++row) {
    const auto at = [&](std::int64_t column) {
      return kernels::to_doubles(path.slice(0, 5 * row + column, 5 * row + column + 1));
    };
    CHECK(at(0) == kernels::to_doubles(ends.slice(0, row, row + 1).slice(1, 0, 1)));
    const std::vector<double> last = at(4),
                              b = kernels::to_doubles(ends.slice(0, row, row + 1).slice(1, 1, 2));
    for (std::size_t i = 0; i < b.size(); ++i)
      CHECK(std::abs(last[i] - b[i]) < 1e-6);
    for (std::int64_t column = 0; column < 5; ++column) {
      double squares = 0;
      for (const double z : at(column))
        squares += z * z;
      CHECK(squares / latents == doctest::Approx(1).epsilon(0.1));
    }
  }
}

TEST_CASE("vae: merging the groups of one set of draws only raises the bound") {
  Vae model({4, 4, 1}, small_options());
  model.module().initialise(1);
  Random random(make_step_state({.seed = 2}));
  const Likelihood found = model.likelihood(binary_images(600, random), 60, random, {});
  REQUIRE(found.sweep.size() == 5);  // 1, 15, 30 and so on: each divides the next
  for (std::size_t i = 1; i < found.sweep.size(); ++i) {
    CHECK(found.sweep[i].importance_samples % found.sweep[i - 1].importance_samples == 0);
    CHECK(found.sweep[i].negative_log_likelihood_nats <
          found.sweep[i - 1].negative_log_likelihood_nats);
  }
  double mean = 0;
  for (const double log_likelihood : found.log_likelihood)
    mean -= log_likelihood / 600;
  CHECK(mean == doctest::Approx(found.sweep.back().negative_log_likelihood_nats).epsilon(1e-12));
}

TEST_CASE("vae: IWAE comes close to the exact likelihood, by integrating one latent on a grid") {
  Vae model({4, 4, 1}, {.hidden = 6, .latents = 1, .layers = 1});
  model.module().initialise(4);
  for (const auto& [name, parameter] : model.module().parameters())
    if (name.starts_with("log_variance."))  // q wider than the posterior: weights of small variance
      kernels::fill(parameter.value(), name.ends_with("bias") ? 0.7 : 0);
  Random random(make_step_state({.seed = 5}));
  const Tensor images = binary_images(40, random);
  const Likelihood found = model.likelihood(images, 2000, random, {});
  constexpr std::int64_t grid = 2001;
  std::vector<float> z;
  for (std::int64_t i = 0; i < grid; ++i)
    z.push_back(-8.0f + 16.0f * static_cast<float>(i) / (grid - 1));
  const Variable nodes = Tensor::of({1, grid, 1}, z);
  const Variable x = images.reshape({40, 1, 16});
  const std::vector<double> log_prob = kernels::to_doubles(model.log_prob_given(x, nodes).value());
  for (std::size_t i = 0; i < 40; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < grid; ++j)
      sum += std::exp(log_prob[i * grid + j] - 0.5 * z[j] * z[j]) / std::sqrt(2 * M_PI) * 16.0 /
             (grid - 1);
    CHECK(found.log_likelihood[i] == doctest::Approx(std::log(sum)).epsilon(0.005));
  }
}

TEST_CASE("vae: terms of the bound: KL per latent, and a latent without influence is not active") {
  Vae model({4, 4, 1}, small_options());
  model.module().initialise(1);
  for (const auto& [name, parameter] : model.module().parameters())
    if (name.starts_with("mean.") || name.starts_with("log_variance."))
      kernels::fill(parameter.value(), 0);  // q = the prior
  Random random(make_step_state({.seed = 2}));
  const Likelihood found = model.likelihood(binary_images(50, random), 1, random, {});
  for (const auto& [name, value] : found.terms) {
    if (name == "kl_nats_per_latent")
      CHECK(std::get<1>(value) == std::vector<double>(3, 0.0));
    if (name == "active_units")
      CHECK(std::get<0>(value) == 0);
  }
}

TEST_CASE("vae: samples and reconstructions are images of probabilities") {
  Vae model({4, 4, 1}, small_options());
  model.module().initialise(1);
  Random random(make_step_state({.seed = 2}));
  const Tensor images = binary_images(5, random);
  for (const Tensor& drawn : {model.sample(5, random), model.reconstruct(images, random)}) {
    CHECK(drawn.shape() == images.shape());
    for (const double p : kernels::to_doubles(drawn))
      CHECK((p > 0 && p < 1));
  }
}

TEST_CASE("vae: data that is not black and white is refused") {
  const ModelDescription description = vae_description();
  const Settings settings(description.settings, Preset::quick);
  CHECK_THROWS_WITH_AS(description.make(settings, {"mnist", {28, 28, 1}, 256}),
                       "vae: its Bernoulli decoder gives black and white images their probability, "
                       "and mnist has 256 levels. Choose another --binarisation.",
                       UsageError);
}
