// Verdicts as JSON: between the process that proves kernels and its parent, and in the record.
#pragma once
#include <nlohmann/json.hpp>

#include "kernels/prove.h"

namespace likely::kernels {

nlohmann::ordered_json to_json(const Verdict& verdict);
Verdict verdict_from(const nlohmann::ordered_json& json);  // DataError, or nlohmann's exceptions

}  // namespace likely::kernels
