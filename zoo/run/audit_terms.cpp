// The audit of a bound that is a sum over times.
#include <algorithm>
#include <cmath>

#include "zoo/run/audit_checks.h"
#include "zoo/run/evaluate.h"

namespace likely {
namespace {

// A term of a bound by its name; NaN where it has none of that name.
double term(const Likelihood& likelihood, const std::string& name) {
  for (const auto& [found, value] : likelihood.terms)
    if (found == name)
      return std::get<double>(value);
  return std::nan("");
}

std::vector<double> by_time(const Likelihood& likelihood) {
  for (const auto& [name, value] : likelihood.terms)
    if (name == "nats_by_time")
      return std::get<std::vector<double>>(value);
  return {};
}

}  // namespace

std::string why_no_terms(const AuditSubject& subject) {
  return std::isnan(term(subject.first, "prior_nats")) ? "the likelihood is no sum over times" : "";
}

void terms_of_bound(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks) {
  constexpr std::int64_t looked_at = 8, every = std::int64_t{1} << 30;
  const std::uint64_t seed = subject.configuration.seed();
  const Tensor few =
      subject.images.slice(0, 0, std::min<std::int64_t>(looked_at, subject.images.size(0)));
  const Likelihood all = likelihood_of(subject.model, few, every, seed);
  const double bound = summarise(all.log_likelihood, {}).nats;
  const double prior = term(all, "prior_nats"), steps = term(all, "steps_nats"),
               decoder = term(all, "decoder_nats");
  const std::vector<double> times = by_time(all);
  const double least = times.empty() ? 0 : *std::min_element(times.begin(), times.end());
  const double apart = std::abs(prior + steps + decoder - bound),
               rounding = 1e-9 * (1 + std::abs(bound));
  checks.push_back(judged(
      names[0], apart <= rounding && prior >= 0 && least >= 0, apart, rounding,
      fmt::format("L_T {:.4g} + {} L_t {:.6g} + L_0 {:.6g} = {:.6g} nats on {} images; the least "
                  "divergence is {:.2g}",
                  prior, times.size(), steps, decoder, bound, few.size(0), least)));

  // The same images with few times, as often as it takes: each an estimate of the same bound.
  constexpr int estimates = 40;
  std::vector<double> drawn;
  for (int i = 1; i <= estimates; ++i)
    drawn.push_back(
        -summarise(likelihood_of(subject.model, few, 10, seed + static_cast<std::uint64_t>(i))
                       .log_likelihood,
                   {})
             .nats);
  const Summary estimate = summarise(drawn, {});
  const double difference = std::abs(estimate.nats - bound), error = 4 * *estimate.standard_error;
  checks.push_back(judged(names[1], difference <= error, difference, error,
                          fmt::format("nats between the bound and the mean of {} estimates from 11 "
                                      "times an image each, {:.6g}; the bar is 4 standard errors",
                                      estimates, estimate.nats)));
}

}  // namespace likely
