// Judge: what samples are worth where their model gives no likelihood, by what is known of the
// data.
#pragma once
#include <functional>
#include <memory>

#include "zoo/data/data_set.h"
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
// Null where neither is known.
std::unique_ptr<Judge> judge_of(const DataSet& data);

// The samples that `evaluate` draws unless told otherwise.
std::int64_t judged_count(const DataSet& data);

// Figures of `count` new samples, and of the first of a split. Empty where nothing is known.
// `done` hears how many are finished, and of how many.
using Done = std::function<void(std::int64_t, std::int64_t)>;
Figures judge_samples(const DataSet& data, Model& model, std::int64_t count, Random& random,
                      const Done& done = {});
Figures judge_split(const DataSet& data, Split split, std::int64_t count);

}  // namespace likely
