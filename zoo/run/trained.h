// A trained model of a run, ready to be asked.
#pragma once
#include "zoo/run/evaluate.h"
#include "zoo/run/run_directory.h"
#include "zoo/run/trainer.h"

namespace likely {

struct TrainedRun {
  // With the weights of the run's last checkpoint, and settings of the run but for `changes`.
  TrainedRun(const ModelDescription& description, const RunDirectory& run,
             const GivenSettings& changes);

  Configuration configuration;
  Device device;
  std::unique_ptr<DataSet> data;
  Trainer trainer;
};

// The samples of the model as its run initialised it.
Figures judge_untrained(const ModelDescription& description, const TrainedRun& trained,
                        const Effort& effort);

}  // namespace likely
