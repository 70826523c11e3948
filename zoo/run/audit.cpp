#include "zoo/run/audit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "zoo/run/audit_checks.h"
#include "zoo/run/evaluate.h"

namespace likely {
namespace {

// A family of checks that one computation makes, and why it does not apply to a model (empty where
// it does).
struct Family {
  AuditNames names;
  std::string (*why_not)(const AuditSubject& subject);
  void (*check)(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks);
};

const Family families[] = {
    {{"probabilities add up to 1", "chain rule"}, why_no_exact_sum, exact_sum},
    {{"bound adds up to 1 at most"}, why_no_sum_of_bound, sum_of_bound},
    {{"causality", "receptive field"}, why_not_autoregressive, dependences},
    {{"code length", "decoded bit for bit"}, why_not_autoregressive, coding},
    {{"ELBO <= IWAE-k", "IWAE-k rises with k"}, why_no_importance_bound, importance_bounds},
    {{"IWAE-k <= log p"}, why_no_known_log_p, nullptr},
    {{"terms of the bound", "all times at once"}, why_no_terms, terms_of_bound},
};

const char* name_of(AuditCheck::Result result) {
  switch (result) {
    case AuditCheck::Result::holds:
      return "holds";
    case AuditCheck::Result::fails:
      return "FAILS";
    case AuditCheck::Result::does_not_apply:
      break;
  }
  return "does not apply";
}

}  // namespace

Audit audit(const ModelDescription& description, const Configuration& configuration, Model& model,
            const DataSet& data, Device device, const AuditOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  const std::vector<std::int64_t> rows =
      held_out_rows(data, Split::test, options.count, configuration.seed(), device);
  AuditSubject subject{description,
                       configuration,
                       model,
                       dynamic_cast<const Autoregressive*>(&model),
                       options,
                       {configuration.data(), data.image(), data.levels(), data.classes()},
                       data.batch(Split::test, rows),
                       model.classes() > 0 ? data.labels(Split::test, rows) : Tensor(),
                       {}};
  subject.first = likelihood_of(model, subject.images.slice(0, 0, 1), 1, configuration.seed());
  Audit result{description.name, data.name(), {}, 0};
  for (const Family& family : families) {
    const std::string why_not =
        subject.has_likelihood() ? family.why_not(subject) : "the model has no likelihood";
    if (why_not.empty())
      family.check(subject, family.names, result.checks);
    else
      for (const std::string& name : family.names)
        result.checks.push_back({name, AuditCheck::Result::does_not_apply, {}, {}, why_not});
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return result;
}

bool Audit::passed() const {
  return std::none_of(checks.begin(), checks.end(), [](const AuditCheck& check) {
    return check.result == AuditCheck::Result::fails;
  });
}

std::string Audit::to_table() const {
  std::string text = fmt::format("audit of {} on {}, {:.1f} s\n", model, data, seconds);
  for (const AuditCheck& check : checks) {
    const auto number = [](const std::optional<double>& value, const char* sign) {
      return value ? fmt::format("{}{:.2g}", sign, *value) : "";
    };
    text += fmt::format("  {:<26} {:<14} {:>8} {:<10} {}\n", check.name, name_of(check.result),
                        number(check.value, ""), number(check.bar, "<= "), check.words);
  }
  return text;
}

std::string Audit::to_json() const {
  using Json = nlohmann::ordered_json;
  const auto json_of = [](const std::optional<double>& value) {
    return value && std::isfinite(*value) ? Json(*value) : Json();
  };
  Json json{{"model", model}, {"data", data}, {"passed", passed()}, {"checks", Json::array()}};
  for (const AuditCheck& check : checks)
    json["checks"].push_back(
        {{"name", check.name},
         {"result", check.result == AuditCheck::Result::fails ? "fails" : name_of(check.result)},
         {"value", json_of(check.value)},
         {"bar", json_of(check.bar)},
         {"words", check.words}});
  json["seconds"] = seconds;
  return json.dump(2) + "\n";
}

}  // namespace likely
