// Evaluation: what a model's likelihood is worth, beside the entropy, the baselines and its terms.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "zoo/data/baselines.h"
#include "zoo/run/model.h"

namespace likely {

// Of one number an image: -log p of the model, and what it lies above that of the data on the same
// images, where that is known (`of_data` not empty). The pairing takes away the spread of -log p.
struct Summary {
  double nats = 0, standard_error = 0;
  std::optional<double> gap, gap_standard_error;
};
Summary summarise(const std::vector<double>& log_likelihood, const std::vector<double>& of_data);

// Images of a split on the data's device: all in order, or `count` of them drawn at random.
Tensor held_out_images(const DataSet& data, Split split, std::int64_t count, std::uint64_t seed,
                       Device device);

struct Evaluation {
  std::string model, data, split;
  std::int64_t count = 0, importance_samples = 1, parameters = 0, dimensions = 0;
  Likelihood likelihood;
  Summary summary;
  std::optional<double> entropy, kl;  // nats; KL(data ‖ model) by enumeration
  std::vector<Baseline> baselines;
  double seconds = 0;

  double bits_per_dimension() const;
  std::string to_json() const;   // the keys that are promised, null where unknown
  std::string to_table() const;  // for people
};

// The model's likelihood of `images`, which are of `split`. `done` hears how many are finished.
Evaluation evaluate(Model& model, const DataSet& data, Split split, const Tensor& images,
                    std::int64_t importance_samples, std::uint64_t seed,
                    const std::function<void(std::int64_t)>& done);

}  // namespace likely
