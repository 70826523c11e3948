// Judge: what samples are worth where their model gives no likelihood, by what is known of the
// data.
#pragma once
#include <memory>

#include "zoo/run/classifier.h"
#include "zoo/run/model.h"

namespace likely {

// A number of the JSON and of the table: {"share_within_4_sd", "share within 4 sd of a mode",
// 0.94}. NaN where it has no value.
struct Figure {
  std::string key, label;
  double value;
};
using Figures = std::vector<Figure>;

class Judge {
 public:
  virtual ~Judge() = default;
  virtual void add(const Tensor& samples) = 0;  // [n, …] on the host, as Model::sample gives them
  virtual Figures figures() const = 0;          // of all that was added
};

// Points of a mixture: modes covered (by 1 % of the samples or more within 4 sd) and the share of
// samples within 4 sd of a mode.
// Images of templates and flips, once made binary (white from one half on): flips to the nearest
// template; the share of samples with no more flips than 4 sd above their mean in the data; and,
// counting only those, templates covered and KL(histogram of templates ‖ their weights). A finite
// number of samples has a KL above 0 even if they are real ones: compare with those at the same
// number.
// Images of a labelled set, by a classifier of it: classes covered (by a tenth of their share of
// the data or more), KL(histogram of classes ‖ the training labels'), and in the space of its
// features the Fréchet distance to the test split, precision and recall (frechet.h). Null where
// none of it is known.
class ClassReference;
std::unique_ptr<Judge> judge_of(const DataSet& data, const ClassReference* reference);

// What samples of a labelled set are compared with.
class ClassReference {
 public:
  ClassReference(const DataSet& data, std::unique_ptr<Classifier> classifier);
  const Classifier& classifier() const { return *classifier_; }
  const Tensor& features() const { return features_; }           // of the test split
  const std::vector<double>& shares() const { return shares_; }  // of the classes, in training

 private:
  std::unique_ptr<Classifier> classifier_;
  Tensor features_;
  std::vector<double> shares_;
};

// The samples that `evaluate` draws unless told otherwise.
std::int64_t judged_count(const DataSet& data);

// Throws Diverged where a sample is not finite: contiguous, f32. On meta none is looked at.
void require_finite(const Tensor& samples);

// Figures of `count` new samples, and of as many real ones: of the test split; where that is the
// reference already, drawn from the training split. Empty where nothing is known.
Figures judge_samples(const DataSet& data, Model& model, std::int64_t count, Random& random,
                      const ClassReference* reference = nullptr, const Done& done = {});
Figures judge_real(const DataSet& data, std::int64_t count,
                   const ClassReference* reference = nullptr);

}  // namespace likely
