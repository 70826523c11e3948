// Condition: models of images given their label. Where some labels are dropped in training, one
// network learns p(x | label) and p(x), and its samples can be guided (Ho & Salimans 2022,
// Classifier-Free Diffusion Guidance).
#pragma once
#include "zoo/run/model.h"

namespace likely {

// --condition and --drop-label, for a model's settings.
std::vector<Setting> condition_settings();

struct Condition {
  std::int64_t classes = 0;  // labels lie below it; 0: the model is of images alone
  double dropped = 0;        // the share of labels that training drops
  // Rows of an embedding: one for each label, and behind them that of no label.
  std::int64_t rows() const { return classes + (dropped > 0 ? 1 : 0); }
};
// UsageError where the settings ask for labels that the data does not have.
Condition condition_of(const Settings& settings, const DataInfo& data);

// Labels i64 [n] as training shows them: each is dropped by chance, and is `classes` then.
Tensor drop_some(const Tensor& labels, const Condition& condition, const Draw& draw);

// What a sampler asks its network under guidance w: u + w (c - u), from c, what it says with the
// label, and u, what it says without. For w = 1 that is c, and u is not asked.
class Guidance {
 public:
  Guidance() = default;  // without labels
  // UsageError where u is asked for and no label was ever dropped.
  Guidance(const Condition& condition, const Tensor& labels, double weight);

  const Tensor& labels() const { return labels_; }  // [n]; or [2n], dropped in the second half
  std::int64_t copies() const { return copies_; }   // of each sample, for its labels
  Tensor copied(const Tensor& samples) const;       // [n, …] → [copies n, …]
  Variable operator()(const Variable& said) const;  // [copies n, …] → [n, …]

 private:
  Tensor labels_;
  double weight_ = 1;
  std::int64_t copies_ = 1;
};

}  // namespace likely
