#include "nn/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/error.h"

namespace likely {
namespace {

// Of the run that is done. Its first update has done nothing, also where a warm-up leaves no time
// after it (total <= 0): a decay begins at 1.
double fraction(std::int64_t update, std::int64_t total) {
  if (update <= 0)
    return 0;
  return update >= total ? 1 : static_cast<double>(update) / static_cast<double>(total);
}

}  // namespace

Schedule constant_rate() {
  return [](std::int64_t, std::int64_t) { return 1.0; };
}

Schedule linear_decay(double end) {
  return [end](std::int64_t update, std::int64_t total) {
    return 1 - (1 - end) * fraction(update, total);
  };
}

Schedule cosine_decay(double end) {
  return [end](std::int64_t update, std::int64_t total) {
    return end + (1 - end) * 0.5 * (1 + std::cos(std::numbers::pi * fraction(update, total)));
  };
}

Schedule exponential_decay(double factor, std::int64_t every) {
  require(every >= 1, "exponential decay: every {} updates is no interval. Use 1 or more.", every);
  return [factor, every](std::int64_t update, std::int64_t) {
    return std::pow(factor, static_cast<double>(update) / static_cast<double>(every));
  };
}

Schedule step_decay(double factor, const std::vector<double>& at) {
  return [factor, at](std::int64_t update, std::int64_t total) {
    const double now = fraction(update, total);
    return std::pow(factor, std::count_if(at.begin(), at.end(),
                                          [now](double fraction) { return fraction <= now; }));
  };
}

Schedule warm_up(std::int64_t updates, const Schedule& then) {
  return [updates, then](std::int64_t update, std::int64_t total) {
    if (update >= updates)
      return then(update - updates, total - updates);
    return static_cast<double>(update + 1) / static_cast<double>(updates) *
           then(0, total - updates);
  };
}

Schedule schedule_named(const std::string& name) {
  if (name == "constant")
    return constant_rate();
  if (name == "linear")
    return linear_decay();
  if (name == "cosine")
    return cosine_decay();
  fail<UsageError>("schedule: '{}' is not one. Use constant, linear or cosine.", name);
}

}  // namespace likely
