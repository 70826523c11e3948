// Training: the loop over steps, with all that a run writes on its way.
#pragma once

#include "zoo/run/progress.h"
#include "zoo/run/run_directory.h"

namespace likely {

enum class Output { text, json };  // of results, on stdout

struct TrainingOptions {
  Verbosity verbosity = Verbosity::normal;
  Output output = Output::text;
  FileSystem* files = &real_file_system();
  bool data_changed = false;  // go on though the data is not what the run learnt from
};

enum class Beginning { fresh, resumed };

// Trains to the configured number of steps. Returns 0; 4 where the last save failed; 130 or 143
// where a signal stopped it, after a checkpoint. Throws Diverged, OutOfMemory, DataError.
int train(const ModelDescription& description, const Configuration& configuration,
          const RunDirectory& run, Beginning beginning, const TrainingOptions& options = {});

}  // namespace likely
