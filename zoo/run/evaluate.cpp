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

constexpr std::int64_t diagnosed = 1000;  // held-out samples, at most
// Images of a space that is worth going through, and of it all draws.
constexpr std::int64_t enumerable = 1 << 16, enumerable_draws = 1 << 21;

struct MeanAndError {
  double mean = 0;
  std::optional<double> error;
};

MeanAndError mean_and_error(const std::vector<double>& values) {
  MeanAndError result;
  const auto n = static_cast<double>(values.size());
  for (const double value : values)
    result.mean += value / n;
  double squares = 0;
  for (const double value : values)
    squares += (value - result.mean) * (value - result.mean);
  if (n > 1)
    result.error = std::sqrt(squares / (n - 1) / n);
  return result;
}

// Σ w (log w - log p(x)) over the templates of data without noise; an upper bound where log p is a
// lower one.
std::optional<double> enumerated_kl(Model& model, const DataSet& data, std::int64_t samples,
                                    Random& random, Device device) {
  const TemplateMixture* templates = data.templates();
  if (!templates || templates->flip() != 0 || templates->count() > enumerable ||
      templates->count() * samples > enumerable_draws)
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

// The first number of an evaluation that is not finite, in words; empty where all are.
std::string first_not_finite(const Evaluation& e) {
  const std::vector<double>& each = e.likelihood.log_likelihood;
  const auto bad = [](double value) { return !std::isfinite(value); };
  if (const auto first = std::find_if(each.begin(), each.end(), bad); first != each.end())
    return fmt::format(
        "-log p of {} of the {} {} images is not finite; of the first, number {}, "
        "it is {}",
        std::count_if(each.begin(), each.end(), bad), each.size(), e.split,
        first - each.begin() + 1, std::isnan(*first) ? NAN : -*first);
  for (const auto& [name, value] : e.likelihood.terms) {
    if (const auto* number = std::get_if<double>(&value); number && bad(*number))
      return fmt::format("{} is {}", name, *number);
    if (const auto* list = std::get_if<std::vector<double>>(&value))
      if (const auto first = std::find_if(list->begin(), list->end(), bad); first != list->end())
        return fmt::format("number {} of {} is {}", first - list->begin() + 1, name, *first);
  }
  if (e.kl && bad(*e.kl))
    return fmt::format("the divergence from the data is {}", *e.kl);
  for (const auto& [name, value] : e.diagnosis.values)
    if (bad(value))
      return fmt::format("{} is {}", name, value);
  return "";
}

std::string in_words(const Evaluation& e, const std::string& what) {
  return what.empty()
             ? ""
             : fmt::format(
                   "evaluate: {}, of {} on {}. The weights are finite, but what is computed "
                   "from them overflows. Train anew with a lower --rate.",
                   what, e.model, e.data);
}

using Json = nlohmann::ordered_json;

Json json_of(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json();
}

void add_likelihood(Json& json, const Evaluation& e) {
  json["negative_log_likelihood_nats"] = json_of(e.summary.nats);
  json["standard_error_nats"] = json_of(e.summary.standard_error);
  json["bits_per_dim"] = json_of(e.bits_per_dimension());
  json["kind"] = e.likelihood.kind == LikelihoodKind::exact ? "exact" : "upper_bound";
  json["method"] = e.likelihood.method;
  json["entropy_nats"] = json_of(e.entropy);
  json["gap_nats"] = json_of(e.summary.gap);
  json["gap_standard_error_nats"] = json_of(e.summary.gap_standard_error);
  json["kl_nats"] = json_of(e.kl);
  json["importance_samples"] = e.importance_samples;
  json["baselines"] = Json::array();
  for (const Baseline& baseline : e.baselines)
    json["baselines"].push_back({{"name", baseline.name}, {"nats", baseline.nats}});
  json["terms"] = Json::object();
  for (const auto& [name, value] : e.likelihood.terms)
    std::visit([&json, &name = name](const auto& v) { json["terms"][name] = v; }, value);
  json["sweep"] = Json::array();
  for (const Likelihood::Rung& rung : e.likelihood.sweep)
    json["sweep"].push_back({{"importance_samples", rung.importance_samples},
                             {"negative_log_likelihood_nats", rung.negative_log_likelihood_nats},
                             {"standard_error_nats", json_of(rung.standard_error_nats)}});
}

// The keys that are promised where samples are judged; null where the data does not define one.
void add_figures(Json& json, const Evaluation& e) {
  json["judged"] = e.judged;
  for (const char* key :
       {"modes_covered", "share_within_4_sd", "templates_covered", "share_within_31_flips",
        "kl_templates_nats", "w1_estimate", "classes_covered", "kl_classes_nats",
        "frechet_distance", "frechet_floor"})
    json[key] = Json();
  const auto add = [](Json& object, const Figures& figures) {
    for (const Figure& figure : figures)
      object[figure.key] = json_of(figure.value);
  };
  add(json, e.samples);
  json["diagnosis"] = Json::object();
  for (const auto& [name, value] : e.diagnosis.values)
    (json.contains(name) ? json : json["diagnosis"])[name] = json_of(value);
  json["verdict"] = e.diagnosis.verdict.empty() ? Json() : Json(e.diagnosis.verdict);
  for (const Figure& figure : e.real)
    if (figure.key == "frechet_distance")  // of real samples to real ones
      json["frechet_floor"] = json_of(figure.value);
  json["frechet_features"] = e.features.empty() ? Json() : Json(e.features);
  for (const auto& [name, figures] : {std::pair("real", &e.real), {"untrained", &e.untrained}}) {
    json[name] = Json();
    add(json[name], *figures);
  }
}

// "a, b and c"
std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return text;
}

std::string with_error(double value, const std::optional<double>& error) {
  return error ? fmt::format("{:.3f} ± {:.3f}", value, *error)
               : fmt::format("{:.3f} (one image: no standard error)", value);
}

std::string row(const std::string& name, const std::string& text) {
  return fmt::format("  {:<25} {}\n", name, text);
}

// Figures in rows; what they are of in columns.
std::string rows_of_figures(const Evaluation& e) {
  std::string text;
  const auto column = [](const Figures& figures, std::size_t i) {
    if (figures.empty())
      return std::string();
    const double value = figures[i].value;
    return std::isfinite(value) ? fmt::format("{:.4g}", value) : "none";
  };
  const auto line = [](const std::string& name, const std::string& samples, const std::string& real,
                       const std::string& untrained) {
    return fmt::format("  {:<34}{:>10}{:>12}{:>12}\n", name, samples, real, untrained);
  };
  text += line("", "samples", "real", e.untrained.empty() ? "" : "untrained");
  for (std::size_t i = 0; i < e.samples.size(); ++i)
    text +=
        line(e.samples[i].label, column(e.samples, i), column(e.real, i), column(e.untrained, i));
  return text;
}

std::string table_of_samples(const Evaluation& e) {
  std::string text = fmt::format("{} on {}: {} samples, {} parameters, {:.1f} s\n", e.model, e.data,
                                 e.judged, e.parameters, e.seconds);
  for (const auto& [name, value] : e.diagnosis.values)
    text += row(name, fmt::format("{:.4g}", value));
  if (!e.diagnosis.verdict.empty())
    text += row("verdict", e.diagnosis.verdict);
  if (e.samples.empty())
    return text + row("judged", "by `likely evaluate`, where the data has labels");
  return text + rows_of_figures(e);
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

std::vector<std::int64_t> held_out_rows(const DataSet& data, Split split, std::int64_t count,
                                        std::uint64_t seed, Device device) {
  const std::int64_t size = data.size(split);
  require<UsageError>(count >= 1, "evaluate: {} images tell nothing. Use --count 1 or more.",
                      count);
  Tensor state = make_step_state({}, device);
  std::vector<std::int64_t> rows = shuffled(size, "evaluate/subset", 0, state, seed);
  rows.resize(static_cast<std::size_t>(std::min(count, size)));
  std::sort(rows.begin(), rows.end());
  return rows;
}

Tensor held_out_images(const DataSet& data, Split split, std::int64_t count, std::uint64_t seed,
                       Device device) {
  return data.batch(split, held_out_rows(data, split, count, seed, device));
}

Evaluation evaluate(Model& model, const DataSet& data, Split split, const Tensor& images,
                    const Effort& effort) {
  auto began = std::chrono::steady_clock::now();
  Random random = random_for(Occasion::evaluation, effort.seed, images.device());
  const std::int64_t count = images.size(0);
  Evaluation evaluation;
  evaluation.model = effort.model;
  evaluation.data = data.name();
  evaluation.split = data.split_name(split);
  evaluation.dimensions = data.image().numel();
  evaluation.importance_samples = effort.importance_samples;
  evaluation.entropy = data.entropy();
  evaluation.likelihood =
      model.likelihood(images, effort.importance_samples, random, [&](std::int64_t finished) {
        if (effort.done)
          effort.done(finished, count);
      });
  evaluation.judged = evaluation.by_samples() ? effort.samples : effort.also_judged;
  if (evaluation.judged > 0) {
    const ClassReference* const reference = effort.reference ? effort.reference() : nullptr;
    if (evaluation.by_samples())
      began = std::chrono::steady_clock::now();
    evaluation.features = reference ? Classifier::name : "";
    try {
      evaluation.samples =
          judge_samples(data, model, evaluation.judged, random, reference, effort.done);
    } catch (const Diverged& diverged) {
      evaluation.not_finite = in_words(evaluation, diverged.what());
    }
    evaluation.real = judge_real(data, evaluation.judged, reference);
  }
  if (evaluation.by_samples()) {
    evaluation.count = evaluation.judged;
    const NotRecording off;
    evaluation.diagnosis = model.diagnose(images.slice(0, 0, std::min(count, diagnosed)), random);
  } else {
    evaluation.count = count;
    if (!images.is_meta())
      evaluation.summary = summarise(evaluation.likelihood.log_likelihood, data.log_prob(images));
    evaluation.kl = enumerated_kl(model, data, effort.importance_samples, random, images.device());
  }
  if (evaluation.not_finite.empty() && !images.is_meta())
    evaluation.not_finite = in_words(evaluation, first_not_finite(evaluation));
  evaluation.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return evaluation;
}

double Evaluation::bits_per_dimension() const {
  return summary.nats / (static_cast<double>(dimensions) * std::numbers::ln2);
}

std::string Evaluation::to_json() const {
  Json json{{"model", model}, {"data", data}, {"split", split}, {"step", step}, {"count", count}};
  if (!by_samples())
    add_likelihood(json, *this);
  if (by_samples() || judged > 0)
    add_figures(json, *this);
  json["parameters"] = parameters;
  json["seconds"] = seconds;
  return json.dump(2) + "\n";
}

std::string Evaluation::to_table() const {
  if (by_samples())
    return table_of_samples(*this);
  const bool exact = likelihood.kind == LikelihoodKind::exact;
  const std::string unit = fmt::format("nats/image on {}, {}", data,
                                       exact ? "exact" : "upper bound (" + likelihood.method + ")");
  std::string text = fmt::format("{} on {}: {} of the {} images, {} parameters, {:.1f} s\n", model,
                                 data, count, split, parameters, seconds);
  text +=
      row("negative log-likelihood", with_error(summary.nats, summary.standard_error) + " " + unit);
  text += row("", fmt::format("{:.5f} bits/dim", bits_per_dimension()));
  if (entropy)
    text += row("entropy of the data", fmt::format("{:.6f} nats/image, exact", *entropy));
  if (summary.gap)
    text +=
        row("gap", with_error(*summary.gap, summary.gap_standard_error) + " nats/image, paired");
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
  if (!samples.empty())
    text += fmt::format("  {} samples judged\n", judged) + rows_of_figures(*this);
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
