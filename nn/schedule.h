// Learning-rate schedules: a factor on the base rate as a function of the update (from 0) and of
// the total.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace likely {

using Schedule = std::function<double(std::int64_t update, std::int64_t total)>;

Schedule constant_rate();
Schedule linear_decay(double end = 0);  // from 1 to `end`, which it keeps after `total`
Schedule cosine_decay(double end = 0);  // Loshchilov & Hutter 2017, equation 5, one period
Schedule exponential_decay(double factor, std::int64_t every);      // factor^(update / every)
Schedule step_decay(double factor, const std::vector<double>& at);  // at fractions of the run
// (update + 1) / updates times the first factor of `then`, which has the rest of the run. A run that
// is shorter ends while the rate still grows.
Schedule warm_up(std::int64_t updates, const Schedule& then);
Schedule schedule_named(const std::string& name);  // "constant", "linear", "cosine"

}  // namespace likely
