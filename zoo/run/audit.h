// Audit: proves that what a model calls its likelihood is one.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "zoo/data/data_set.h"
#include "zoo/run/configuration.h"

namespace likely {

struct AuditCheck {
  enum class Result { holds, fails, does_not_apply };

  std::string name;
  Result result = Result::does_not_apply;
  std::optional<double> value, bar;  // what was found, and what it may be
  std::string words;                 // what the value is of; or why the check does not apply
};

struct Audit {
  std::string model, data;
  std::vector<AuditCheck> checks;
  double seconds = 0;

  bool passed() const;  // no check fails
  std::string to_json() const;
  std::string to_table() const;  // a line for each check
};

struct AuditOptions {
  std::int64_t count = 1000;  // test images, drawn at random
  // What is done of how much in the longest check.
  std::function<void(std::int64_t, std::int64_t)> done = [](std::int64_t, std::int64_t) {};
};

// `model` is what `configuration` made for `data`, trained or not; it computes on `device`.
Audit audit(const ModelDescription& description, const Configuration& configuration, Model& model,
            const DataSet& data, Device device, const AuditOptions& options);

}  // namespace likely
