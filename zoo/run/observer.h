// Observer: what a training run computes beside its steps: bounds on held-out images, and pictures.
// The same code runs on `meta` for a plan.
#pragma once
#include "zoo/run/evaluate.h"
#include "zoo/run/pictures.h"

namespace likely {

class Observer {
 public:
  Observer(Trainer& trainer, const Configuration& configuration, const DataSet& data,
           Device device);

  // The cheapest bound (one importance sample) on `eval-count` images, or as many samples judged:
  // against validation data while training, test data at its end.
  Evaluation evaluate(Split split, const Done& done = {});

  Pictures& pictures() { return pictures_; }
  // Rows of test images above rows of their reconstructions; undefined where the model has none.
  Tensor reconstructions();

 private:
  std::string of() const { return configuration_.model + " on " + data_.name(); }

  Trainer& trainer_;
  const Configuration& configuration_;
  const DataSet& data_;
  Device device_;
  Pictures pictures_;
  Tensor validation_;
};

}  // namespace likely
