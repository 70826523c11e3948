// Evaluation: what a model's likelihood is worth, beside the entropy, the baselines and its terms;
// or its samples, where it has none.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "zoo/data/baselines.h"
#include "zoo/run/judge.h"

namespace likely {

// Of one number an image: -log p of the model, and what it lies above that of the data on the same
// images, where that is known (`of_data` not empty). The pairing takes away the spread of -log p.
// One image has no standard error.
struct Summary {
  double nats = 0;
  std::optional<double> standard_error, gap, gap_standard_error;
};
Summary summarise(const std::vector<double>& log_likelihood, const std::vector<double>& of_data);

// Rows of a split: all in order, or `count` of them drawn at random; and their images.
std::vector<std::int64_t> held_out_rows(const DataSet& data, Split split, std::int64_t count,
                                        std::uint64_t seed, Device device);
Tensor held_out_images(const DataSet& data, Split split, std::int64_t count, std::uint64_t seed,
                       Device device);

struct Evaluation {
  std::string model, data, split;
  std::int64_t step = 0;  // of the run, after which this was measured
  std::int64_t count = 0, importance_samples = 1, parameters = 0, dimensions = 0;
  Likelihood likelihood;
  Summary summary;
  std::optional<double> entropy, kl;  // nats; KL(data ‖ model) by enumeration
  std::vector<Baseline> baselines;
  double seconds = 0;
  // Of a model without a likelihood, or where asked for: `judged` samples, beside as many held-out
  // ones and, where somebody drew them, those of the model as it was initialised.
  std::int64_t judged = 0;
  Figures samples, real, untrained;
  std::string features;  // the network between whose features the Fréchet distance is one
  Diagnosis diagnosis;   // of the model by itself, on at most 1000 held-out samples

  // What is not finite of the likelihood, the samples or the diagnosis, in words; else empty.
  std::string not_finite;

  bool by_samples() const { return likelihood.log_likelihood.empty(); }
  double bits_per_dimension() const;
  std::string to_json() const;   // the keys that are promised, null where unknown
  std::string to_table() const;  // for people
};

struct Effort {
  std::string model;  // its name
  std::int64_t importance_samples = 1;
  std::int64_t samples = 1000;   // to judge, of a model without a likelihood
  std::int64_t also_judged = 0;  // and of one that has one
  std::uint64_t seed = 1;
  // What samples of labelled sets are compared with; called where some are judged.
  std::function<const ClassReference*()> reference = {};
  Done done = {};
};

// The model's likelihood of `images`, which are of `split`; its samples judged, where it has none
// or they are asked for.
Evaluation evaluate(Model& model, const DataSet& data, Split split, const Tensor& images,
                    const Effort& effort);

}  // namespace likely
