// Critics against laws whose distance is known, and the pieces of their losses.
#include "zoo/adversarial/wasserstein.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "autograd/tape.h"
#include "kernels/copy.h"
#include "kernels/random.h"
#include "nn/optimiser.h"
#include "nn/schedule.h"

using namespace likely;

namespace {

// Points around (-d/2, 0) and (d/2, 0), the same law but for the shift: W1 = d.
struct Shifted {
  double distance, deviation;
  Tensor real(std::int64_t count, const Draw& draw) const { return law(count, draw, 0.5); }
  Tensor fake(std::int64_t count, const Draw& draw) const { return law(count, draw, -0.5); }

 private:
  Tensor law(std::int64_t count, const Draw& draw, double side) const {
    const Variable centre = Tensor::of({2}, std::vector<float>{float(side * distance), 0});
    return (Variable(kernels::normal({count, 2}, draw)) * deviation + centre).value();
  }
};

struct Trained {
  double gap, mean_slope, largest_slope;  // on held-out points
};

// A critic alone, against a generator that stays as it is.
Trained train_critic(const Shifted& laws, const NetworkOptions& how, double lambda, int steps,
                     Optimiser::Options options, double rate) {
  const auto network = make_critic(SampleSpace({2}), how);
  network->initialise(1);
  Parameters parameters(*network);
  Optimiser optimiser(parameters, options);
  const Critic critic = std::cref(*network);
  Tensor state = make_step_state({.seed = 3});
  Random random(state);
  const auto gap_of = [&](std::int64_t count, const char* real, const char* fake) {
    return critic_gap(critic, laws.real(count, random.draw(real)),
                      laws.fake(count, random.draw(fake)));
  };
  for (int i = 0; i < steps; ++i) {
    StepState now = read_step_state(state);
    now.rate = static_cast<float>(rate * linear_decay()(i, steps));
    write_step_state(state, now);
    random.begin_update();
    optimiser.update(state, [&](int) {
      const Tensor real = laws.real(128, random.draw("real")),
                   fake = laws.fake(128, random.draw("fake"));
      const Variable gap = critic_gap(critic, real, fake);
      if (lambda == 0)
        return -gap;
      const Tensor between = interpolates(real, fake, random.draw("interpolation"));
      return mean(square(gradient_norms(critic, between) - 1.0)) * lambda - gap;
    });
  }
  const NotRecording off;
  const Tensor between =
      interpolates(laws.real(4000, random.draw("held-out")),
                   laws.fake(4000, random.draw("held-out")), random.draw("held-out/interpolation"));
  const std::vector<double> slopes = kernels::to_doubles(gradient_norms(critic, between).value());
  Trained trained{gap_of(4000, "held-out/real", "held-out/fake").value().item<double>(), 0, 0};
  for (const double slope : slopes) {
    trained.mean_slope += slope / static_cast<double>(slopes.size());
    trained.largest_slope = std::max(trained.largest_slope, slope);
  }
  return trained;
}

}  // namespace

TEST_CASE("wasserstein: a penalised critic has the gap d (1 + d / 2λ), and gap / slope is W1") {
  if (std::getenv("LIKELY_TEST_SMALL"))
    return;
  const double lambda = 10;
  for (const double d : {0.5, 1.0, 2.0}) {
    CAPTURE(d);
    const Trained critic = train_critic({d, 0.05 * d}, {.width = 32, .layers = 2}, lambda, 400,
                                        {.method = kernels::Adam{0.5f, 0.9f}}, 1e-2);
    CHECK(critic.gap == doctest::Approx(d * (1 + d / (2 * lambda))).epsilon(0.02));
    CHECK(critic.gap / critic.mean_slope == doctest::Approx(d).epsilon(0.02));
  }
}

TEST_CASE("wasserstein: a clipped linear critic has the gap c d for a shift along an axis") {
  const float clip = 0.01f;
  const Trained critic = train_critic({2, 0.1}, {.layers = 0}, 0, 100,
                                      {.method = kernels::RmsProp{}, .bound = clip}, 1e-3);
  CHECK(critic.gap == doctest::Approx(clip * 2).epsilon(0.01));
}

TEST_CASE("wasserstein: a clipped MLP's gap is at most its largest slope times W1") {
  const Trained critic = train_critic({2, 0.1}, {.width = 32, .layers = 2}, 0, 100,
                                      {.method = kernels::RmsProp{}, .bound = 0.1f}, 1e-3);
  CHECK(critic.gap > 0.5 * critic.largest_slope * 2);
  CHECK(critic.gap <= 1.0001 * critic.largest_slope * 2);
}

TEST_CASE("gradient_norms: over all axes but the first, each sample by itself") {
  // f(x) = Σ w x²: slopes 2 w x.
  const Tensor w = Tensor::of({2, 3}, std::vector<double>{1, -2, 0.5, 3, 0, 1});
  const Tensor x = Tensor::of({2, 2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 7, 0});
  const Critic f = [&](const Variable& at) { return sum(Variable(w) * square(at), {1, 2}); };
  const NotRecording off;
  const std::vector<double> norms = kernels::to_doubles(gradient_norms(f, x).value());
  const double expected = 2 * std::sqrt(1 + 16 + 2.25 + 144 + 0 + 36);
  CHECK(norms[0] == doctest::Approx(expected).epsilon(1e-12));
  CHECK(norms[1] == doctest::Approx(1e-6).epsilon(1e-12));  // flat there
}

TEST_CASE("interpolates: one share a sample, between the two") {
  const Tensor zero = kernels::zeros({5, 2, 3}), one = kernels::full({5, 2, 3}, 1);
  const std::vector<double> between = kernels::to_doubles(
      interpolates(one, zero, {make_step_state({.seed = 1}), purpose_hash("test"), 0}));
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 1; j < 6; ++j)
      CHECK(between[6 * i + j] == between[6 * i]);
    CHECK((between[6 * i] > 0 && between[6 * i] < 1));
    CHECK(between[6 * i] != between[6 * (i ? 0 : 4)]);
  }
}

TEST_CASE("wasserstein: the critic's update skips what is identically zero") {
  // Products of one sample: F forward, layer by layer.
  const std::int64_t n = 64, width = 24;
  const auto network = make_critic(SampleSpace({2}), {.width = width, .layers = 2});
  network->initialise(1);
  Parameters parameters(*network);
  const Critic critic = std::cref(*network);
  const Tensor x = kernels::normal({n, 2}, {make_step_state({.seed = 1}), 1, 0});
  const kernels::LaunchLog log;
  backward(mean(square(gradient_norms(critic, x) - 1.0)));
  // Forward; the gradient in x, a product a layer; and of that one each factor's gradient, but
  // for the cotangent of ones. Nothing flows into the forward.
  const double first = 2.0 * n * 2 * width, middle = 2.0 * n * width * width,
               last = 2.0 * n * width;
  CHECK(log.flops() == (first + middle + last) * 2 + (first + middle) * 2 + last);
}
