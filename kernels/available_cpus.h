// How many CPUs this process may use: the machine's, less what its affinity and its cgroups forbid.
#pragma once
#include <filesystem>

namespace likely::kernels {

// Of the cgroups that hold this process and of all above them, version 1 or 2, the tightest limit
// on CPU time, in CPUs: 0.5 for 50 ms of every 100 ms; infinity where there is none. `root` is
// where /proc and /sys lie.
double cpu_quota(const std::filesystem::path& root = "/");

// CPUs that the affinity of this process allows, or the quota where that is less.
double available_cpus();

// How many threads use so many CPUs: at least 1, else the nearest whole number.
int threads_for(double cpus);

// For the CPUs that are available; or as many as OMP_NUM_THREADS says, which clusters set for a
// job.
int default_threads();

}  // namespace likely::kernels
