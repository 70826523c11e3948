// Training: the loop over steps, with all that a run writes on its way.
#pragma once
#include <memory>

#include "zoo/data/data_set.h"
#include "zoo/run/progress.h"
#include "zoo/run/run_directory.h"

namespace likely {

enum class Output { text, json };  // of results, on stdout

struct TrainingOptions {
  Verbosity verbosity = Verbosity::normal;
  Output output = Output::text;
  FileSystem* files = &real_file_system();
};

enum class Beginning { fresh, resumed };

// Trains to the configured number of steps. Returns 0; 4 where the last save failed; 130 or 143
// where a signal stopped it, after a checkpoint. Throws Diverged, OutOfMemory, DataError.
int train(const ModelDescription& description, const Configuration& configuration,
          const RunDirectory& run, Beginning beginning, const TrainingOptions& options = {});

// What the configuration asks of the whole program: threads and kernels. UsageError for a device or
// precision that this build has not.
Device apply_to_program(const Configuration& configuration);
std::unique_ptr<DataSet> data_of(const Configuration& configuration, Device device);

}  // namespace likely
