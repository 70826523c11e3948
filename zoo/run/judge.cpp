#include "zoo/run/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/copy.h"
#include "zoo/data/points.h"
#include "zoo/data/templates.h"

namespace likely {
namespace {

constexpr std::int64_t chunk = 256;  // samples drawn together

// How many of the samples that count fell to each mode.
struct Histogram {
  explicit Histogram(std::size_t modes) : counted(modes) {}

  std::int64_t covered(std::int64_t least) const {
    return std::count_if(counted.begin(), counted.end(),
                         [&](std::int64_t count) { return count >= least; });
  }
  std::int64_t total() const { return std::accumulate(counted.begin(), counted.end(), 0ll); }
  double share() const { return static_cast<double>(total()) / static_cast<double>(samples); }

  std::vector<std::int64_t> counted;
  std::int64_t samples = 0;
};

class PointJudge final : public Judge {
 public:
  explicit PointJudge(const PointMixture& mixture)
      : mixture_(mixture), near_(mixture.centres().size()) {}

  void add(const Tensor& samples) override {
    for (const Point& point : points_of(samples)) {
      const auto [centre, distance] = mixture_.nearest(point);
      near_.counted[centre] += distance <= 4 * mixture_.sd();
      ++near_.samples;
    }
  }

  Figures figures() const override {
    const auto modes = near_.counted.size();
    const std::int64_t least = std::max<std::int64_t>(1, (near_.samples + 99) / 100);
    return {{"modes_covered", fmt::format("modes covered, of {}", modes),
             static_cast<double>(near_.covered(least))},
            {"share_within_4_sd", "share within 4 sd of a mode", near_.share()}};
  }

 private:
  const PointMixture& mixture_;
  Histogram near_;  // within 4 sd
};

class TemplateJudge final : public Judge {
 public:
  explicit TemplateJudge(const TemplateMixture& templates)
      : templates_(templates), near_(static_cast<std::size_t>(templates.count())) {
    const double mean = static_cast<double>(templates.image().numel()) * templates.flip();
    most_ = static_cast<std::int32_t>(mean + 4 * std::sqrt(mean * (1 - templates.flip())));
  }

  void add(const Tensor& samples) override {
    const auto nearest = templates_.nearest(binary(samples));
    for (std::size_t i = 0; i < nearest.index.size(); ++i) {
      near_.counted[nearest.index[i]] += nearest.distance[i] <= most_;
      flips_ += nearest.distance[i];
      ++near_.samples;
    }
  }

  Figures figures() const override {
    return {{"mean_flips", "flips to the nearest template", flips_ / near_.samples},
            {"share_within_31_flips", fmt::format("share within {} flips", most_), near_.share()},
            {"templates_covered", fmt::format("templates covered, of {}", templates_.count()),
             static_cast<double>(near_.covered(1))},
            {"kl_templates_nats", "KL of templates to the data's, nats", kl()}};
  }

 private:
  static Tensor binary(const Tensor& samples) {
    std::vector<float> values = samples.to_vector<float>();
    for (float& value : values)
      value = value >= 0.5f;
    return Tensor::of(samples.shape(), values);
  }

  double kl() const {
    const auto total = static_cast<double>(near_.total());
    if (total == 0)
      return std::numeric_limits<double>::quiet_NaN();
    double nats = 0;
    for (std::size_t t = 0; t < near_.counted.size(); ++t)
      if (const double p = static_cast<double>(near_.counted[t]) / total; p > 0)
        nats += p * std::log(p / templates_.weight(static_cast<std::int64_t>(t)));
    return nats;
  }

  const TemplateMixture& templates_;
  std::int32_t most_;  // flips of a sample that counts
  double flips_ = 0;
  Histogram near_;  // within `most_` flips
};

// Calls f(begin, end) for chunks of `count`.
template <class F>
void for_each_chunk(std::int64_t count, const F& f) {
  for (std::int64_t begin = 0; begin < count; begin += chunk)
    f(begin, std::min(begin + chunk, count));
}

}  // namespace

std::unique_ptr<Judge> judge_of(const DataSet& data) {
  if (data.modes())
    return std::make_unique<PointJudge>(*data.modes());
  if (data.templates())
    return std::make_unique<TemplateJudge>(*data.templates());
  return nullptr;
}

std::int64_t judged_count(const DataSet& data) { return data.templates() ? 5000 : 10000; }

Figures judge_samples(const DataSet& data, Model& model, std::int64_t count, Random& random,
                      const Done& done) {
  const std::unique_ptr<Judge> judge = judge_of(data);
  if (!judge)
    return {};
  bool meta = false;
  for_each_chunk(count, [&](std::int64_t begin, std::int64_t end) {
    const Tensor samples = kernels::contiguous(model.sample(end - begin, random));
    meta = samples.is_meta();
    if (!meta)
      judge->add(samples.to(Device::cpu));
    if (done)
      done(end, count);
  });
  return meta ? Figures{} : judge->figures();
}

Figures judge_split(const DataSet& data, Split split, std::int64_t count) {
  const std::unique_ptr<Judge> judge = judge_of(data);
  if (!judge)
    return {};
  bool meta = false;
  for_each_chunk(std::min(count, data.size(split)), [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(end - begin));
    std::iota(rows.begin(), rows.end(), begin);
    const Tensor images = data.batch(split, rows);
    meta = images.is_meta();
    if (!meta)
      judge->add(images.to(Device::cpu));
  });
  return meta ? Figures{} : judge->figures();
}

}  // namespace likely
