#include "zoo/run/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/copy.h"
#include "zoo/data/points.h"
#include "zoo/data/templates.h"
#include "zoo/run/frechet.h"
#include "zoo/run/trainer.h"

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

  std::int64_t one_percent() const { return std::max<std::int64_t>(1, (samples + 99) / 100); }
  // KL(share of each mode among those that count ‖ weights), nats.
  double kl(const std::vector<double>& weights) const {
    const auto all = static_cast<double>(total());
    if (all == 0)
      return std::numeric_limits<double>::quiet_NaN();
    double nats = 0;
    for (std::size_t mode = 0; mode < counted.size(); ++mode)
      if (const double p = static_cast<double>(counted[mode]) / all; p > 0)
        nats += p * std::log(p / weights[mode]);
    return nats;
  }

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
    return {{"modes_covered", fmt::format("modes covered, of {}", near_.counted.size()),
             static_cast<double>(near_.covered(near_.one_percent()))},
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
    for (std::int64_t t = 0; t < templates.count(); ++t)
      weights_.push_back(templates.weight(t));
  }

  void add(const Tensor& samples) override {
    const auto nearest = templates_.nearest(samples);
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
            {"kl_templates_nats", "KL of templates to the data's, nats", near_.kl(weights_)}};
  }

 private:
  const TemplateMixture& templates_;
  std::int32_t most_;  // flips of a sample that counts
  double flips_ = 0;
  std::vector<double> weights_;
  Histogram near_;  // within `most_` flips
};

class ClassJudge final : public Judge {
 public:
  explicit ClassJudge(const ClassReference& reference)
      : reference_(reference), seen_(reference.shares().size()) {}

  void add(const Tensor& samples) override {
    const Classifier::Seen seen = reference_.classifier().look(samples);
    features_.push_back(seen.features);
    for (const std::int64_t label : seen.classes)
      ++seen_.counted[label];
    seen_.samples += samples.size(0);
  }

  Figures figures() const override {
    const Tensor features = kernels::concatenate(features_, 0);
    PrecisionRecall found{std::nan(""), std::nan("")};
    double distance = std::nan("");
    if (seen_.samples >= 4) {
      distance = frechet_distance(features, reference_.features());
      found = precision_recall(reference_.features(), features);
    }
    return {{"classes_covered", fmt::format("classes covered, of {}", seen_.counted.size()),
             static_cast<double>(covered())},
            {"kl_classes_nats", "KL of classes to the data's, nats", seen_.kl(reference_.shares())},
            {"frechet_distance", fmt::format("FD-{}@{} vs test", Classifier::name, seen_.samples),
             distance},
            {"precision", "precision, k = 3", found.precision},
            {"recall", "recall, k = 3", found.recall}};
  }

 private:
  std::int64_t covered() const {
    std::int64_t classes = 0;
    for (std::size_t label = 0; label < seen_.counted.size(); ++label)
      classes += seen_.counted[label] > 0 &&
                 static_cast<double>(seen_.counted[label]) >=
                     0.1 * reference_.shares()[label] * static_cast<double>(seen_.samples);
    return classes;
  }

  const ClassReference& reference_;
  Histogram seen_;
  Tensors features_;
};

// Calls f(begin, end) for chunks of `count`.
template <class F>
void for_each_chunk(std::int64_t count, const F& f) {
  for (std::int64_t begin = 0; begin < count; begin += chunk)
    f(begin, std::min(begin + chunk, count));
}

std::vector<std::int64_t> rows_between(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), begin);
  return rows;
}

// Figures of what `images(begin, end)` returns; none on meta.
template <class F>
Figures judge_chunks(const DataSet& data, const ClassReference* reference, std::int64_t count,
                     const F& images) {
  const std::unique_ptr<Judge> judge = judge_of(data, reference);
  if (!judge)
    return {};
  bool meta = false;
  for_each_chunk(count, [&](std::int64_t begin, std::int64_t end) {
    const Tensor chunk = images(begin, end);
    meta = chunk.is_meta();
    if (!meta)
      judge->add(chunk.to(Device::cpu));
  });
  return meta ? Figures{} : judge->figures();
}

}  // namespace

ClassReference::ClassReference(const DataSet& data, std::unique_ptr<Classifier> classifier)
    : classifier_(std::move(classifier)), shares_(classifier_->classes()) {
  Tensors features;
  for_each_chunk(data.size(Split::test), [&](std::int64_t begin, std::int64_t end) {
    const Tensor images = data.batch(Split::test, rows_between(begin, end)).to(Device::cpu);
    features.push_back(classifier_->look(images).features);
  });
  features_ = kernels::concatenate(features, 0);
  const std::vector<std::uint8_t> labels = data.labels(Split::train).to_vector<std::uint8_t>();
  for (const std::uint8_t label : labels)
    shares_[label] += 1 / static_cast<double>(labels.size());
}

std::unique_ptr<Judge> judge_of(const DataSet& data, const ClassReference* reference) {
  if (data.modes())
    return std::make_unique<PointJudge>(*data.modes());
  if (data.templates())
    return std::make_unique<TemplateJudge>(*data.templates());
  if (reference)
    return std::make_unique<ClassJudge>(*reference);
  return nullptr;
}

std::int64_t judged_count(const DataSet& data) { return data.templates() ? 5000 : 10000; }

void require_finite(const Tensor& samples) {
  if (samples.is_meta())
    return;
  const Tensor here = samples.to(Device::cpu);
  const float *const begin = here.data<float>(), *const end = begin + here.numel();
  const float* const bad =
      std::find_if_not(begin, end, [](float value) { return std::isfinite(value); });
  if (bad != end)
    fail<Diverged>("a value of sample {} is {}", (bad - begin) * here.size(0) / here.numel() + 1,
                   std::isnan(*bad) ? NAN : *bad);
}

Figures judge_samples(const DataSet& data, Model& model, std::int64_t count, Random& random,
                      const ClassReference* reference, const Done& done) {
  return judge_chunks(data, reference, count, [&](std::int64_t begin, std::int64_t end) {
    const Tensor samples = kernels::contiguous(model.sample(end - begin, random));
    require_finite(samples);
    if (done)
      done(end, count);
    return samples;
  });
}

// Files may lie in the order of their classes; generated data is alike from any row on.
Figures judge_real(const DataSet& data, std::int64_t count, const ClassReference* reference) {
  const Split split = reference ? Split::train : Split::test;
  const std::int64_t size = data.size(split);
  std::vector<std::int64_t> rows = rows_between(0, size);
  if (reference) {
    Tensor state = make_step_state({});
    rows = shuffled(size, "judge/rows", 0, state, 1);
  }
  const Draw draw{make_step_state({}), purpose_hash("judge/real"), 0};
  return judge_chunks(data, reference, std::min(count, size),
                      [&](std::int64_t begin, std::int64_t end) {
                        return data.batch(split, std::span(rows).subspan(begin, end - begin), draw);
                      });
}

}  // namespace likely
