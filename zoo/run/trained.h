// A trained model of a run, ready to be asked.
#pragma once
#include "zoo/run/evaluate.h"
#include "zoo/run/run_directory.h"
#include "zoo/run/trainer.h"

namespace likely {

class TrainedRun {
 public:
  // With the weights of the run's last checkpoint, and settings of the run but for `changes`. Reads
  // no data where the checkpoint tells what the model was built for.
  TrainedRun(const ModelDescription& description, const RunDirectory& run,
             const GivenSettings& changes);

  // The run's data, read when first asked for. DataError where it is not there, or is of another
  // kind than the model was built for.
  const DataSet& data();
  const PointMixture* modes();  // null of images

  Configuration configuration;
  Device device;

 private:
  const DataSet& read_data();

  Checkpoint checkpoint_;  // until it is restored
  std::unique_ptr<DataSet> data_;

 public:
  DataFacts facts;
  Trainer trainer;
};

// The samples of the model as its run initialised it.
Figures judge_untrained(const ModelDescription& description, TrainedRun& trained,
                        const Effort& effort);

}  // namespace likely
