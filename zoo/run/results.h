// Results: what training says of evaluations, in metrics.jsonl and, once its steps are done, on
// stdout.
#pragma once
#include <nlohmann/json.hpp>

#include "zoo/run/evaluate.h"
#include "zoo/run/metrics.h"
#include "zoo/run/run_directory.h"

namespace likely {

// What a run's evaluation.json says of this split at this step; null where it says nothing. (An
// older program wrote no step.)
nlohmann::ordered_json kept_evaluation(const RunDirectory& run, const std::string& split,
                                       std::int64_t step);

// The numbers of an evaluation for a line of metrics.jsonl; NaN where one has no value.
Metrics::Values values_of(const Evaluation& evaluation);

struct Results {
  std::int64_t step;
  std::string samples;           // the picture; empty where none was drawn
  const Evaluation* evaluation;  // null where that of evaluation.json is kept, or none is finite
  nlohmann::ordered_json kept;
};
std::string results_table(const RunDirectory& run, const Results& results);
std::string results_json(const RunDirectory& run, const Results& results);

}  // namespace likely
