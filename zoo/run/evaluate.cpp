#include "zoo/run/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "tensor/nearest.h"
#include "zoo/data/templates.h"
#include "zoo/run/trainer.h"

namespace likely {
namespace {

constexpr std::int64_t enumerable = 4096;  // images of a space that is worth going through

struct MeanAndError {
  double mean = 0, error = 0;
};

MeanAndError mean_and_error(const std::vector<double>& values) {
  MeanAndError result;
  const auto n = static_cast<double>(values.size());
  for (const double value : values)
    result.mean += value / n;
  double squares = 0;
  for (const double value : values)
    squares += (value - result.mean) * (value - result.mean);
  result.error = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
  return result;
}

// Σ w (log w - log p(x)) over the templates of data without noise; an upper bound where log p is a
// lower one.
std::optional<double> enumerated_kl(Model& model, const DataSet& data, std::int64_t samples,
                                    Random& random, Device device) {
  const TemplateMixture* templates = data.templates();
  if (!templates || templates->flip() != 0 || templates->count() > enumerable)
    return std::nullopt;
  const std::int64_t count = templates->count(), pixels = data.image().numel();
  std::vector<float> values;
  for (std::int64_t t = 0; t < count; ++t)
    values.insert(values.end(), templates->pixels(t), templates->pixels(t) + pixels);
  const Tensor images = Tensor::of(data.image().inserted(0, count), values, device);
  const Likelihood likelihood = model.likelihood(images, samples, random, [](std::int64_t) {});
  double kl = 0;
  for (std::int64_t t = 0; t < count; ++t)
    kl += templates->weight(t) * (std::log(templates->weight(t)) - likelihood.log_likelihood[t]);
  return kl;
}

nlohmann::ordered_json json_of(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

// "a, b and c"
std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return text;
}

std::string row(const std::string& name, const std::string& text) {
  return fmt::format("  {:<26}{}\n", name, text);
}

}  // namespace

Summary summarise(const std::vector<double>& log_likelihood, const std::vector<double>& of_data) {
  Summary summary;
  const MeanAndError own = mean_and_error(log_likelihood);
  summary.nats = -own.mean;
  summary.standard_error = own.error;
  if (!of_data.empty()) {
    std::vector<double> difference(log_likelihood.size());
    for (std::size_t i = 0; i < difference.size(); ++i)
      difference[i] = of_data[i] - log_likelihood[i];
    const MeanAndError gap = mean_and_error(difference);
    summary.gap = gap.mean;
    summary.gap_standard_error = gap.error;
  }
  return summary;
}

Tensor held_out_images(const DataSet& data, Split split, std::int64_t count, std::uint64_t seed,
                       Device device) {
  const std::int64_t size = data.size(split);
  require<UsageError>(count >= 1, "evaluate: {} images tell nothing. Use --count 1 or more.",
                      count);
  Tensor state = make_step_state({}, device);
  std::vector<std::int64_t> rows = shuffled(size, "evaluate/subset", 0, state, seed);
  rows.resize(static_cast<std::size_t>(std::min(count, size)));
  std::sort(rows.begin(), rows.end());
  return data.batch(split, rows);
}

Evaluation evaluate(Model& model, const DataSet& data, Split split, const Tensor& images,
                    std::int64_t importance_samples, std::uint64_t seed,
                    const std::function<void(std::int64_t)>& done) {
  const auto began = std::chrono::steady_clock::now();
  Random random = random_for(Occasion::evaluation, seed, images.device());
  Evaluation evaluation;
  evaluation.data = data.name();
  evaluation.split = data.split_name(split);
  evaluation.count = images.size(0);
  evaluation.dimensions = data.image().numel();
  evaluation.importance_samples = importance_samples;
  evaluation.likelihood = model.likelihood(images, importance_samples, random, done);
  evaluation.entropy = data.entropy();
  if (!evaluation.likelihood.log_likelihood.empty()) {
    if (!images.is_meta())
      evaluation.summary = summarise(evaluation.likelihood.log_likelihood, data.log_prob(images));
    evaluation.kl = enumerated_kl(model, data, importance_samples, random, images.device());
  }
  evaluation.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return evaluation;
}

double Evaluation::bits_per_dimension() const {
  return summary.nats / (static_cast<double>(dimensions) * std::numbers::ln2);
}

std::string Evaluation::to_json() const {
  nlohmann::ordered_json json;
  json["model"] = model;
  json["data"] = data;
  json["split"] = split;
  json["count"] = count;
  json["negative_log_likelihood_nats"] = json_of(summary.nats);
  json["standard_error_nats"] = json_of(summary.standard_error);
  json["bits_per_dim"] = json_of(bits_per_dimension());
  json["kind"] = likelihood.kind == LikelihoodKind::exact ? "exact" : "upper_bound";
  json["method"] = likelihood.method;
  json["entropy_nats"] = json_of(entropy);
  json["gap_nats"] = json_of(summary.gap);
  json["gap_standard_error_nats"] = json_of(summary.gap_standard_error);
  json["kl_nats"] = json_of(kl);
  json["importance_samples"] = importance_samples;
  json["baselines"] = nlohmann::ordered_json::array();
  for (const Baseline& baseline : baselines)
    json["baselines"].push_back({{"name", baseline.name}, {"nats", baseline.nats}});
  json["terms"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : likelihood.terms)
    std::visit([&json, &name = name](const auto& v) { json["terms"][name] = v; }, value);
  json["sweep"] = nlohmann::ordered_json::array();
  for (const Likelihood::Rung& rung : likelihood.sweep)
    json["sweep"].push_back({{"importance_samples", rung.importance_samples},
                             {"negative_log_likelihood_nats", rung.negative_log_likelihood_nats},
                             {"standard_error_nats", rung.standard_error_nats}});
  json["parameters"] = parameters;
  json["seconds"] = seconds;
  return json.dump(2) + "\n";
}

std::string Evaluation::to_table() const {
  const bool exact = likelihood.kind == LikelihoodKind::exact;
  const std::string unit = fmt::format("nats/image on {}, {}", data,
                                       exact ? "exact" : "upper bound (" + likelihood.method + ")");
  std::string text = fmt::format("{} on {}: {} of the {} images, {} parameters, {:.1f} s\n", model,
                                 data, count, split, parameters, seconds);
  text += row("negative log-likelihood",
              fmt::format("{:.3f} ± {:.3f} {}", summary.nats, summary.standard_error, unit));
  text += row("", fmt::format("{:.5f} bits/dim", bits_per_dimension()));
  if (entropy)
    text += row("entropy of the data", fmt::format("{:.6f} nats/image, exact", *entropy));
  if (summary.gap)
    text += row("gap", fmt::format("{:.3f} ± {:.3f} nats/image, paired", *summary.gap,
                                   *summary.gap_standard_error));
  if (kl)
    text += row("KL(data || model)",
                fmt::format("{:.4f} nats, by enumeration{}", *kl, exact ? "" : ", upper bound"));
  for (const auto& [name, value] : likelihood.terms)
    if (const auto* number = std::get_if<double>(&value))
      text += row(name, fmt::format("{:.4g}", *number));
  if (likelihood.sweep.size() > 1) {
    std::vector<std::string> rungs;
    for (const Likelihood::Rung& rung : likelihood.sweep)
      rungs.push_back(
          fmt::format("{}: {:.2f}", rung.importance_samples, rung.negative_log_likelihood_nats));
    text += row("by importance samples", joined(rungs, "  "));
  }
  if (baselines.empty())
    return text;
  std::vector<Baseline> ladder = baselines;
  ladder.push_back({model, summary.nats});
  std::stable_sort(ladder.begin(), ladder.end(),
                   [](const Baseline& a, const Baseline& b) { return a.nats > b.nats; });
  text += "  ladder, nats/image\n";
  std::vector<std::string> passed;
  for (const Baseline& rung : ladder) {
    text += fmt::format("    {:<24}{:>10.3f}{}\n", rung.name, rung.nats,
                        rung.name == model ? "  <" : "");
    if (rung.name != model && rung.nats > summary.nats)
      passed.push_back(rung.name);
  }
  return text + row("passed", passed.empty() ? "no rung" : listed(passed));
}

}  // namespace likely
