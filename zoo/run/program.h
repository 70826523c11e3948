// Program: what a configuration asks of it.
#pragma once
#include <memory>

#include "zoo/data/data_set.h"
#include "zoo/run/configuration.h"

namespace likely {

// Threads and kernels; returns the device. UsageError for a device or precision that this build has
// not.
Device apply_to_program(const Configuration& configuration);
// With the folder of its data's files in full, so that it means the same in another folder.
Configuration with_absolute_folders(Configuration configuration);
std::unique_ptr<DataSet> data_of(const Configuration& configuration, Device device);

}  // namespace likely
