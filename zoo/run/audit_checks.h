// The checks of an audit, by what one computation finds: each says why it does not apply to a
// model (empty where it does), and appends a check for each of its names.
#pragma once
#include "zoo/run/audit.h"
#include "zoo/run/autoregressive.h"

namespace likely {

// What is audited.
struct AuditSubject {
  const ModelDescription& description;
  const Configuration& configuration;
  Model& model;
  const Autoregressive* autoregressive;  // the model, where it is one
  const AuditOptions& options;
  DataInfo data;
  Tensor images, labels;  // of the test split; labels where the model takes them
  Likelihood first;       // of the first image: empty where the model has none

  bool has_likelihood() const { return !first.log_likelihood.empty(); }
  bool is_exact() const { return first.kind == LikelihoodKind::exact; }
};

Likelihood likelihood_of(Model& model, const Tensor& images, std::int64_t draws,
                         std::uint64_t seed);

using AuditNames = std::vector<std::string>;
using AuditChecks = std::vector<AuditCheck>;

// An exact likelihood of small images adds up to 1, and is the product of its conditionals.
std::string why_no_exact_sum(const AuditSubject& subject);
void exact_sum(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks);

// The mean over draws of Σ exp(bound) is at most 1.
std::string why_no_sum_of_bound(const AuditSubject& subject);
void sum_of_bound(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks);

// An autoregressive model's outputs depend on no element but earlier ones, and on those.
std::string why_not_autoregressive(const AuditSubject& subject);
void dependences(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks);

// An arithmetic coder with an autoregressive model's probabilities makes of the images as many bits
// as the likelihood says, and of these bits the images.
void coding(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks);

// On the same draws the ELBO is at most IWAE-k, which rises with k.
std::string why_no_importance_bound(const AuditSubject& subject);
void importance_bounds(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks);

std::string why_no_known_log_p(const AuditSubject& subject);

// A diffusion's bound is the sum of its terms, which are divergences up to the last; and the times
// that are drawn estimate what all of them together say.
std::string why_no_terms(const AuditSubject& subject);
void terms_of_bound(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks);

// A check with its outcome.
AuditCheck judged(const std::string& name, bool holds, double value, double bar,
                  const std::string& words);

}  // namespace likely
