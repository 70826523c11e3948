#include "zoo/run/results.h"

#include <cmath>
#include <filesystem>

#include "tensor/json.h"

namespace likely {

using Json = nlohmann::ordered_json;

Json kept_evaluation(const RunDirectory& run, const std::string& split, std::int64_t step) {
  if (!std::filesystem::exists(run.evaluation()))
    return {};
  Json found;
  try {
    found = parse_json(read_file(run.evaluation(), 1 << 24), run.evaluation());
  } catch (const DataError&) {  // none of ours: it is written again
  }
  const bool kept = found.is_object() && found.contains("split") && found["split"] == split &&
                    (!found.contains("step") || found["step"] == step);
  return kept ? found : Json();
}

Metrics::Values values_of(const Evaluation& evaluation) {
  Metrics::Values values;
  if (evaluation.by_samples()) {
    for (const Figure& figure : evaluation.samples)
      values.emplace_back(figure.key, figure.value);
    return values;
  }
  const Summary& summary = evaluation.summary;
  const auto or_null = [](const std::optional<double>& error) { return error.value_or(NAN); };
  values.emplace_back("negative_log_likelihood_nats", summary.nats);
  values.emplace_back("standard_error_nats", or_null(summary.standard_error));
  if (summary.gap) {
    values.emplace_back("gap_nats", *summary.gap);
    values.emplace_back("gap_standard_error_nats", or_null(summary.gap_standard_error));
  }
  for (const auto& [name, value] : evaluation.likelihood.terms)
    if (const auto* number = std::get_if<double>(&value))
      values.emplace_back(name, *number);
  return values;
}

std::string results_table(const RunDirectory& run, const Results& results) {
  std::string text;
  if (results.evaluation)
    text = results.evaluation->to_table();
  else if (!results.kept.is_null())
    text = fmt::format("result   {}\n", run.evaluation());
  if (!results.samples.empty())
    text += fmt::format("samples  {}\n", results.samples);
  return text + fmt::format("report   {}\nrun      {}\n", run.report(), run.path());
}

std::string results_json(const RunDirectory& run, const Results& results) {
  Json json{{"run", run.path()},
            {"steps", results.step},
            {"samples", run.picture("samples", results.step)},
            {"report", run.report()}};
  if (results.evaluation)
    json["evaluation"] = Json::parse(results.evaluation->to_json());
  else if (!results.kept.is_null())
    json["evaluation"] = results.kept;
  return json.dump(2) + "\n";
}

}  // namespace likely
