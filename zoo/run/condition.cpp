#include "zoo/run/condition.h"

#include "autograd/ops.h"
#include "kernels/copy.h"
#include "kernels/random.h"

namespace likely {

std::vector<Setting> condition_settings() {
  return {
      fixed_setting("condition", "what images are given", std::string("none"), {"none", "label"}),
      fixed_setting("drop-label",
                    "share of labels that training drops, so that samples can be "
                    "guided",
                    0.1, Range{0, 0.999})};
}

Condition condition_of(const Settings& settings, const DataInfo& data) {
  if (settings.text("condition") == "none")
    return {};
  require<UsageError>(data.classes > 0,
                      "--condition label: {} has no labels. Choose another --data (of mnist, "
                      "another --binarisation than fixed).",
                      data.name);
  return {data.classes, settings.number("drop-label")};
}

// In f32, which holds every label; where one is dropped its difference to `classes` is added.
Tensor drop_some(const Tensor& labels, const Condition& condition, const Draw& draw) {
  if (condition.dropped == 0)
    return labels;
  const NotRecording constant;
  const Device device = labels.device();
  const Variable label = kernels::cast(labels, DType::f32),
                 drop = kernels::bernoulli(
                     kernels::full(labels.shape(), condition.dropped, DType::f32, device), draw);
  const Variable rest = static_cast<double>(condition.classes) - label;
  return kernels::cast((label + drop * rest).value(), DType::i64);
}

Guidance::Guidance(const Condition& condition, const Tensor& labels, double weight)
    : labels_(labels), weight_(weight), copies_(weight == 1 ? 1 : 2) {
  if (copies_ == 1)
    return;
  require<UsageError>(condition.dropped > 0,
                      "sample: --guidance {} asks what the network says without a label, which it "
                      "did not learn. Use --guidance 1, or train with --drop-label 0.1.",
                      weight);
  const Tensor none = kernels::full(labels.shape(), static_cast<double>(condition.classes),
                                    DType::i64, labels.device());
  labels_ = kernels::concatenate({labels, none}, 0);
}

Tensor Guidance::copied(const Tensor& samples) const {
  return copies_ == 1 ? samples : kernels::concatenate({samples, samples}, 0);
}

Variable Guidance::operator()(const Variable& said) const {
  if (copies_ == 1)
    return said;
  const std::int64_t n = said.size(0) / 2;
  const Variable c = slice(said, 0, 0, n), u = slice(said, 0, n, 2 * n);
  return u + weight_ * (c - u);
}

}  // namespace likely
