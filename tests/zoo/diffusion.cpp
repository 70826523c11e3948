// Diffusions of which all is known: schedules, samplers and the bound against closed forms.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <numbers>
#include <numeric>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "zoo/models/ddpm.h"
#include "zoo/run/trainer.h"

using namespace likely;

namespace {

const NoiseSchedule schedule = NoiseSchedule::linear(1000);
const double entropy = 0.5 * std::log(2 * std::numbers::pi * std::numbers::e);  // of N(0, 1)

// Of data N(0, s²), x_t is N(0, ᾱ s² + 1 - ᾱ), and the best guess of its noise √(1 - ᾱ) / (that) x.
double slope_of_noise(const NoiseSchedule& of, std::int64_t t, double s) {
  return of.noise(t) / (of.alpha_bar(t) * s * s + 1 - of.alpha_bar(t));
}

PredictNoise best_for_normal_data(const NoiseSchedule& of) {
  std::vector<double> slopes;
  for (std::int64_t t = 1; t <= of.steps(); ++t)
    slopes.push_back(slope_of_noise(of, t, 1));
  return [table = Table(Tensor::of({of.steps()}, slopes))](const Variable& x, const Tensor& step) {
    return x * unsqueeze(Variable(table.at(step, x.dtype())), -1);
  };
}

// The bound of a dimension of N(0, 1) with the best network, whose squared error is ᾱ_t.
struct Terms {
  double prior, steps = 0, decoder;
  explicit Terms(ReverseVariance how)
      : prior(schedule.prior_kl(1)), decoder(schedule.decoder_nats(how, schedule.alpha_bar(1))) {
    for (std::int64_t t = 2; t <= schedule.steps(); ++t)
      steps += schedule.step_kl(t, how, schedule.alpha_bar(t));
  }
  double gap() const { return prior + steps + decoder - entropy; }
};

// The standard deviation of samples where the network is the best for N(0, s²): every step is
// linear in x. `x` and `x0` are what is left of the first draw, and `variance` is of what was added
// since.
double deviation_of_samples(const NoiseSchedule& of, const Sampling& how, double s) {
  double x = 1, last = 0, variance = 0;
  for (const BackwardStep& step : backward_steps(of, how)) {
    const double k = (1 - of.noise(step.t) * slope_of_noise(of, step.t, s)) / of.signal(step.t);
    const double x0 = k * x, factor = step.of_x + step.of_x0 * k;
    x = step.of_x * x + step.of_x0 * x0 + step.of_last * last;
    last = x0;
    variance = factor * factor * variance + step.noise * step.noise;
  }
  return std::sqrt(x * x + variance);
}

}  // namespace

TEST_CASE("noise schedule: the published linear and cosine ones") {
  CHECK(schedule.beta(1) == doctest::Approx(1e-4).epsilon(1e-12));
  CHECK(schedule.beta(1000) == doctest::Approx(0.02).epsilon(1e-12));
  CHECK(schedule.alpha_bar(0) == 1);
  CHECK(schedule.alpha_bar(1000) == doctest::Approx(4.0358e-5).epsilon(1e-4));
  CHECK(schedule.posterior_variance(1) == 0);
  // As much noise in all, whatever T.
  CHECK(NoiseSchedule::linear(100).alpha_bar(100) == doctest::Approx(2e-5).epsilon(0.3));
  const NoiseSchedule cosine = NoiseSchedule::cosine(1000);
  CHECK(cosine.beta(1000) == 0.999);
  const double at_half = std::cos((0.5 + 0.008) / 1.008 * std::numbers::pi / 2);
  CHECK(cosine.alpha_bar(500) == doctest::Approx(at_half * at_half).epsilon(1e-3));
}

TEST_CASE("diffusion: the bound on normal data is its entropy, in closed form") {
  const Terms large(ReverseVariance::fixed_large);
  CHECK(large.prior == doctest::Approx(2.0180e-5).epsilon(1e-4));
  CHECK(std::abs(large.steps - 4.60515) < 1e-5);
  CHECK(std::abs(large.decoder + 3.18623) < 1e-5);
  CHECK(std::abs(large.gap()) < 1e-9);
  // With other variances it is not: the price is known.
  CHECK(Terms(ReverseVariance::published).gap() == doctest::Approx(0.1137).epsilon(1e-3));
  CHECK(Terms(ReverseVariance::fixed_small).gap() == doctest::Approx(0.465).epsilon(1e-3));
}

TEST_CASE("diffusion: the bound on normal data is its entropy, by draws") {
  const bool small = std::getenv("LIKELY_TEST_SMALL");
  const std::int64_t count = small ? 20000 : 1600000;
  const Diffusion diffusion({2}, 0, schedule);
  Random random = random_for(Occasion::evaluation, 1, Device::cpu);
  const Tensor points = kernels::normal({count, 2}, random.draw("test/points"));
  const DiffusionBound bound = diffusion.bound(best_for_normal_data(schedule), points,
                                               ReverseVariance::fixed_large, 30, random);
  // Beside -log p of the same points, whose mean is the entropy: what it varies by cancels.
  const std::vector<double> x = kernels::to_doubles(points);
  double total = 0, squares = 0;
  for (std::size_t i = 0; const double nats : bound.nats()) {
    const double far = (x[2 * i] * x[2 * i] + x[2 * i + 1] * x[2 * i + 1]) / 4;
    const double gap = nats / 2 - (std::log(2 * std::numbers::pi) / 2 + far);
    total += gap / count;
    squares += gap * gap / count;
    ++i;
  }
  const double error = std::sqrt((squares - total * total) / count);
  MESSAGE((2 * count) << " draws: a gap of " << total << " ± " << error << " nats");
  CHECK(error < (small ? 1e-2 : 8e-4));
  CHECK(std::abs(total) < (small ? 3 * error : 1e-3));
  CHECK(bound.by_part.size() == 30);
}

TEST_CASE("diffusion: as many strata as times are all times, each once") {
  const NoiseSchedule few = NoiseSchedule::linear(50);
  const Diffusion diffusion({2}, 0, few);
  Random random = random_for(Occasion::evaluation, 1, Device::cpu);
  std::vector<int> seen(51);
  const PredictNoise count = [&](const Variable& x, const Tensor& step) {
    for (const std::int64_t value : step.to_vector<std::int64_t>())
      ++seen[static_cast<std::size_t>(value + 1)];
    return x;
  };
  diffusion.bound(count, kernels::normal({3, 2}, random.draw("test/points")),
                  ReverseVariance::fixed_large, 1000, random);
  CHECK(seen[0] == 0);
  for (std::size_t t = 1; t <= 50; ++t)
    CHECK(seen[t] == 3);
  // Fewer are as many as were asked for, from at least ten parts.
  for (const std::int64_t times : {1, 2, 7, 10, 30, 48}) {
    seen.assign(51, 0);
    CHECK(diffusion
              .bound(count, kernels::normal({3, 2}, random.draw("test/points")),
                     ReverseVariance::fixed_large, times, random)
              .by_part.size() == static_cast<std::size_t>(std::max<std::int64_t>(times, 10)));
    CHECK(seen[1] == 3);
    CHECK(std::accumulate(seen.begin(), seen.end(), 0) == 3 * (times + 1));
  }
}

// Images of 784 dimensions: most nats are in the first times.
TEST_CASE("diffusion: a bound from few times lies within its standard errors of all times' bound") {
  const Diffusion diffusion({28, 28, 1}, 0, schedule);
  const PredictNoise nothing = [](const Variable& x, const Tensor&) { return x * 0.0; };
  Random random = random_for(Occasion::evaluation, 1, Device::cpu);
  const double dimensions = 784;
  double all = 0;  // the squared error of predicting none is 1 a dimension
  for (std::int64_t t = 2; t <= schedule.steps(); ++t)
    all += dimensions * schedule.step_kl(t, ReverseVariance::fixed_large, 1);
  const std::int64_t count = 100;
  const Tensor images = kernels::zeros({count, 28, 28, 1});
  for (const std::int64_t times : {1, 2, 5}) {
    CAPTURE(times);
    int within = 0;
    for (int trial = 0; trial < 20; ++trial) {
      const std::vector<double> nats =
          diffusion.bound(nothing, images, ReverseVariance::fixed_large, times, random).steps;
      double mean = 0, squares = 0;
      for (const double each : nats)
        mean += each / count;
      for (const double each : nats)
        squares += (each - mean) * (each - mean);
      within += std::abs(mean - all) < 2.5 * std::sqrt(squares / (count - 1) / count);
    }
    CHECK(within >= 18);
  }
}

TEST_CASE("discretised normal: all levels together have probability 1, also far away") {
  for (const double mean : {-0.9, 0.013, 0.5, 1.7, 12.0})
    for (const double sd : {0.003, 0.01, 0.3})
      for (const int levels : {2, 5, 256}) {
        double total = 0;
        for (int i = 0; i < levels; ++i)
          total += std::exp(
              discretised_normal_log_prob(2.0 * i / (levels - 1) - 1, mean, sd * sd, levels));
        CHECK(std::abs(total - 1) < 1e-12);
      }
}

TEST_CASE("discretised normal: the tails are those of the normal distribution") {
  // Levels -1 and 1: what lies above 0 and below it. log Q(10), log Q(29.9…) and log Q(50) by
  // integration of 60 digits.
  const auto above = [](double sd) { return discretised_normal_log_prob(1, -1, 1 / sd / sd, 2); };
  CHECK(above(10) == doctest::Approx(-53.231285150512470).epsilon(1e-13));
  CHECK(above(50) == doctest::Approx(-1254.831361139420).epsilon(1e-13));
  CHECK(above(30 - 1e-9) == doctest::Approx(above(30 + 1e-9)).epsilon(1e-9));
  // A level between two others, 120 sd away: the density at its nearer end, over its slope.
  const double sd = 0.01, near = 1.2 / sd, half = 1.0 / 255;
  const double expected = -near * near / 2 - std::log(near * std::sqrt(2 * std::numbers::pi)) +
                          std::log1p(-1 / (near * near));
  const double x = 1.0 / 255, mean = x - half - 1.2;
  CHECK(discretised_normal_log_prob(x, mean, sd * sd, 256) ==
        doctest::Approx(expected).epsilon(1e-9));
}

TEST_CASE("samplers: the ancestral one takes the published steps") {
  const auto steps = backward_steps(schedule, {});
  REQUIRE(steps.size() == 1000);
  for (const std::size_t i : {0, 400, 998}) {
    const std::int64_t t = 1000 - static_cast<std::int64_t>(i);
    CHECK(steps[i].t == t);
    // Equation 7.
    CHECK(steps[i].of_x0 == doctest::Approx(std::sqrt(schedule.alpha_bar(t - 1)) *
                                            schedule.beta(t) / (1 - schedule.alpha_bar(t))));
    CHECK(steps[i].of_x ==
          doctest::Approx(std::sqrt(schedule.alpha(t)) * (1 - schedule.alpha_bar(t - 1)) /
                          (1 - schedule.alpha_bar(t))));
    CHECK(steps[i].noise == doctest::Approx(std::sqrt(schedule.beta(t))));
  }
  CHECK(steps.back().t == 1);
  CHECK(steps.back().of_x == 0);
  CHECK(steps.back().of_x0 == doctest::Approx(1));
  CHECK(steps.back().noise == 0);
}

TEST_CASE("samplers: DDIM with η = 1 is the ancestral one with the posterior's variance") {
  for (const std::int64_t count : {1000, 20}) {
    const auto a =
        backward_steps(schedule, {Sampler::ancestral, count, ReverseVariance::fixed_small});
    const auto b = backward_steps(schedule, {.sampler = Sampler::ddim, .steps = count, .eta = 1});
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i].t == b[i].t);
      CHECK(a[i].of_x == doctest::Approx(b[i].of_x).epsilon(1e-9));
      CHECK(a[i].of_x0 == doctest::Approx(b[i].of_x0).epsilon(1e-9));
      CHECK(a[i].noise == doctest::Approx(b[i].noise).epsilon(1e-9));
    }
  }
}

TEST_CASE("samplers: normal data comes out with its variance; the second order needs fewer steps") {
  const NoiseSchedule cosine = NoiseSchedule::cosine(1000);
  const auto error = [&](Sampler sampler, std::int64_t steps) {
    return std::abs(deviation_of_samples(cosine, {.sampler = sampler, .steps = steps}, 0.5) / 0.5 -
                    1);
  };
  CHECK(error(Sampler::ancestral, 1000) < 0.01);
  CHECK(error(Sampler::ddim, 1000) < 0.01);
  CHECK(error(Sampler::dpm_solver, 1000) < 0.01);
  const double first = error(Sampler::ddim, 25), second = error(Sampler::dpm_solver, 25);
  MESSAGE(first << " by DDIM, " << second << " by DPM-Solver, in 25 steps");
  CHECK(second < first / 2);
}

// The network is off by the same in every direction and at every time: what becomes of that?
TEST_CASE("samplers: an error of the network stays small on the cosine schedule") {
  const double off = 0.01;
  const auto error_of = [&](const NoiseSchedule& of, const Sampling& how) {
    double x = 0, last = 0;
    for (const BackwardStep& step : backward_steps(of, how)) {
      const double k = (1 - of.noise(step.t) * slope_of_noise(of, step.t, 1)) / of.signal(step.t);
      const double x0 = k * x - of.noise(step.t) / of.signal(step.t) * off;
      x = step.of_x * x + step.of_x0 * x0 + step.of_last * last;
      last = x0;
    }
    return std::abs(x);
  };
  const NoiseSchedule cosine = NoiseSchedule::cosine(1000);
  for (const Sampler sampler : {Sampler::ancestral, Sampler::ddim, Sampler::dpm_solver})
    for (const std::int64_t steps : {10, 20, 50, 100, 997, 998, 999, 1000}) {
      CAPTURE(static_cast<int>(sampler));
      CAPTURE(steps);
      Sampling how{.sampler = sampler, .steps = steps};
      const bool published = sampler == Sampler::ancestral && steps == 1000;
      if (sampler != Sampler::ancestral && steps <= 100)
        CHECK(error_of(cosine, how) > 1);  // the error of one step, over a signal of 5e-5
      how.least_signal = least_signal_of_points;
      CHECK(error_of(cosine, how) < (published ? 0.5 : 0.4));
      CHECK(backward_steps(cosine, how).front().t == (published ? 1000 : 997));
      CHECK(backward_steps(cosine, how).back().t >= 1);
      // Where a schedule ends with signal enough, nothing changes.
      const auto bounded = backward_steps(schedule, how);
      how.least_signal = 0;
      const auto whole = backward_steps(schedule, how);
      REQUIRE(bounded.size() == whole.size());
      for (std::size_t i = 0; i < whole.size(); ++i) {
        CHECK(bounded[i].t == whole[i].t);
        CHECK(bounded[i].of_x == whole[i].of_x);
        CHECK(bounded[i].of_x0 == whole[i].of_x0);
      }
    }
}

TEST_CASE("samplers: an eta that is none is an error that says so") {
  for (const double eta : {-0.1, 1.1, std::nan("")})
    CHECK_THROWS_WITH_AS(backward_steps(schedule, {.steps = 20, .eta = eta}),
                         fmt::format("sample: eta is {}. Use 0 to 1.", eta).c_str(), UsageError);
}

TEST_CASE("samplers: more steps than the diffusion has are an error that says so") {
  CHECK_THROWS_WITH_AS(backward_steps(NoiseSchedule::linear(100), {.steps = 101}),
                       "sample: 101 steps back of a diffusion of 100. Use 1 to 100.", UsageError);
}
