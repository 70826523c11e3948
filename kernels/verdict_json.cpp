#include "kernels/verdict_json.h"

#include <cmath>
#include <cstdlib>

#include "tensor/shown.h"

namespace likely::kernels {
namespace {

using nlohmann::ordered_json;

// JSON has no numbers that are not finite: those are words.
ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(fmt::format("{}", value));
}
double number(const ordered_json& json) {
  if (!json.is_string())
    return json.get<double>();
  const auto& word = json.get_ref<const std::string&>();
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  require<DataError>(!word.empty() && *end == '\0', "proofs: {} is no number.", in_quotes(word));
  return value;
}

}  // namespace

ordered_json to_json(const Verdict& verdict) {
  ordered_json json{{"kernel", verdict.kernel},
                    {"case", verdict.proof},
                    {"error", number(verdict.error)},
                    {"bound", number(verdict.bar)}};
  if (!verdict.problem.empty())
    json["problem"] = verdict.problem;
  if (!verdict.where.empty()) {
    json["where"] = verdict.where;
    json["value"] = number(verdict.value);
    json["expected"] = number(verdict.expected);
  }
  return json;
}

Verdict verdict_from(const ordered_json& json) {
  Verdict verdict{.kernel = json.at("kernel").get<std::string>(),
                  .proof = json.at("case").get<std::string>(),
                  .error = number(json.at("error")),
                  .bar = number(json.at("bound")),
                  .problem = json.value("problem", "")};
  verdict.where = json.value("where", "");
  if (!verdict.where.empty()) {
    verdict.value = number(json.at("value"));
    verdict.expected = number(json.at("expected"));
  }
  return verdict;
}

}  // namespace likely::kernels
