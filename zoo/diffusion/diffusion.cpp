#include "zoo/diffusion/diffusion.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/copy.h"
#include "kernels/random.h"

namespace likely {

Diffusion::Diffusion(const Shape& sample, int levels, const NoiseSchedule& schedule)
    : space(sample),
      levels(levels),
      schedule(schedule),
      signal_(schedule.steps(), [&](std::int64_t t) { return schedule.signal(t); }),
      noise_(schedule.steps(), [&](std::int64_t t) { return schedule.noise(t); }) {}

Variable Diffusion::diffuse(const Variable& x0, const Tensor& step, const Variable& noise) const {
  return signal_.each(step, x0) * x0 + noise_.each(step, x0) * noise;
}

std::vector<double> DiffusionBound::nats() const {
  std::vector<double> total;
  for (std::size_t i = 0; i < prior.size(); ++i)
    total.push_back(prior[i] + steps[i] + decoder[i]);
  return total;
}

namespace {

std::vector<int> all_but_the_first(const Variable& x) {
  std::vector<int> axes(static_cast<std::size_t>(x.rank() - 1));
  std::iota(axes.begin(), axes.end(), 1);
  return axes;
}

// The end of a part of the times `begin` … all - 1, of which it is one of `parts`. Ends grow by a
// factor: of the first times each is worth most nats, and they stand in short parts.
std::int64_t end_of_part(std::int64_t begin, std::int64_t part, std::int64_t parts,
                         std::int64_t all) {
  const double power = static_cast<double>(part + 1) / static_cast<double>(parts);
  return std::clamp<std::int64_t>(std::llround(std::pow(static_cast<double>(all), power)),
                                  begin + 1, all - (parts - part - 1));
}

std::vector<double> squared_norms(const Variable& x) {
  return kernels::to_doubles(sum(square(x), all_but_the_first(x)).value());
}

}  // namespace

DiffusionBound Diffusion::bound(const PredictNoise& predict, const Tensor& samples,
                                ReverseVariance variance, std::int64_t times,
                                Random& random) const {
  const NotRecording off;
  const Variable x0 = space.from_data(samples);
  const std::int64_t count = x0.size(0), later = schedule.steps() - 1;
  const double dimensions = static_cast<double>(space.shape().numel());
  DiffusionBound result;
  for (const double square : squared_norms(x0))
    result.prior.push_back(dimensions * schedule.prior_kl(square / dimensions));

  struct Seen {
    std::vector<std::int64_t> step;
    Variable x, predicted;
    std::vector<double> squared_error;
  };
  const auto numbers_below = [&](std::int64_t end, const char* purpose) {
    const Tensor drawn = kernels::integers({count}, end, random.draw(purpose));
    return drawn.is_meta() ? std::vector<std::int64_t>(static_cast<std::size_t>(count))
                           : drawn.to_vector<std::int64_t>();
  };
  // At a time of each sample: what `step_of` makes of its place and of a number below `range`.
  const auto look = [&](std::int64_t range, const auto& step_of) {
    Seen seen;
    seen.step = numbers_below(range, "evaluate/time");
    for (std::size_t i = 0; i < seen.step.size(); ++i)
      seen.step[i] = step_of(i, seen.step[i]);
    const Tensor step = Tensor::of({count}, seen.step, x0.device());
    const Variable noise = kernels::normal(x0.shape(), random.draw("evaluate/noise"), x0.dtype());
    seen.x = diffuse(x0, step, noise);
    seen.predicted = predict(seen.x, step);
    seen.squared_error = squared_norms(noise - seen.predicted);
    return seen;
  };

  result.steps.assign(static_cast<std::size_t>(count), 0);
  times = std::min(times, later);
  const std::int64_t parts = std::min(std::max(times, fewest_parts), later);
  std::vector<std::int64_t> begins{1};  // of the parts, and the end: step 0 is the decoder's
  for (std::int64_t part = 0; part < parts; ++part)
    begins.push_back(1 + end_of_part(begins.back() - 1, part, parts, later));
  const std::vector<std::int64_t> first =
      times < parts ? numbers_below(parts, "evaluate/part")
                    : std::vector<std::int64_t>(static_cast<std::size_t>(count));
  const double of_all = static_cast<double>(parts) / static_cast<double>(times);
  result.by_part.resize(static_cast<std::size_t>(parts));
  for (std::int64_t time = 0; time < times; ++time) {
    const auto part_of = [&](std::size_t i) {
      return static_cast<std::size_t>((first[i] + time * parts / times) % parts);
    };
    const auto length_of = [&](std::size_t part) { return begins[part + 1] - begins[part]; };
    const std::int64_t range =
        times < parts ? std::int64_t{1} << 30 : length_of(static_cast<std::size_t>(time));
    const Seen seen = look(range, [&](std::size_t i, std::int64_t number) {
      return begins[part_of(i)] + number % length_of(part_of(i));
    });
    for (std::size_t i = 0; i < result.steps.size(); ++i) {
      const double nats =
          of_all * static_cast<double>(length_of(part_of(i))) * dimensions *
          schedule.step_kl(seen.step[i] + 1, variance, seen.squared_error[i] / dimensions);
      result.steps[i] += nats;
      result.by_part[part_of(i)] += nats;
    }
  }
  for (double& nats : result.by_part)
    nats /= static_cast<double>(count);

  const Seen seen = look(1, [](std::size_t, std::int64_t) { return std::int64_t{0}; });
  if (levels == 0) {
    for (const double error : seen.squared_error)
      result.decoder.push_back(dimensions * schedule.decoder_nats(variance, error / dimensions));
    return result;
  }
  // μ(x_1) of equation 11; all of x_0 that rounds to its level (equation 13).
  const Variable mean = (seen.x - seen.predicted * (schedule.beta(1) / schedule.noise(1))) /
                        std::sqrt(schedule.alpha(1));
  const std::vector<double> means = kernels::to_doubles(mean.value()),
                            values = kernels::to_doubles(x0.value());
  result.decoder.assign(static_cast<std::size_t>(count), 0);
  const std::size_t each = values.size() / std::max<std::size_t>(1, result.decoder.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    result.decoder[i / each] -=
        discretised_normal_log_prob(values[i], means[i], schedule.variance(1, variance), levels);
  return result;
}

Tensor Diffusion::sample(const PredictNoise& predict, const Variable& noise, const Sampling& how,
                         Random& random) const {
  const NotRecording off;
  Sampling bounded = how;
  bounded.least_signal = space.points() ? least_signal_of_points : 0;
  Variable x = noise, last;
  for (const BackwardStep& back : backward_steps(schedule, bounded)) {
    const Tensor step =
        kernels::full({x.size(0)}, static_cast<double>(back.t - 1), DType::i64, x.device());
    Variable x0 = (x - predict(x, step) * schedule.noise(back.t)) / schedule.signal(back.t);
    if (!space.points())
      x0 = clamp(x0, -1, 1);  // as the authors' code
    x = x * back.of_x + x0 * back.of_x0;
    if (back.of_last != 0)
      x = x + last * back.of_last;
    if (back.noise != 0)
      x = x + Variable(kernels::normal(x.shape(), random.draw("sample/noise"))) * back.noise;
    last = x0;
  }
  return space.to_data(x);
}

}  // namespace likely
