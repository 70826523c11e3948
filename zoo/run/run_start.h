// RunStart: the first files of a run, written once all else is known to be well.
#pragma once
#include <functional>

#include "tensor/device.h"
#include "zoo/run/run_directory.h"

namespace likely {

class RunStart {
 public:
  // `fresh`: of a new run, whose folder is taken back where it fails.
  RunStart(const RunDirectory& run, bool fresh, FileSystem& files)
      : run_(run), fresh_(fresh), files_(files) {}

  // Makes what is missing of the folders, locks a new run, writes environment.json, and last
  // config.toml where it differs: it makes the folder a run, and one that cannot go on keeps the
  // one that it had. Throws SaveError, and takes back.
  void write(const Configuration& configuration, Device device);
  // Removes the folders that were made, and the files of a start in them: a new run in which no
  // step was taken does not bar the corrected command. What anybody else put there stays.
  void take_back();

 private:
  void make_missing(const std::vector<std::string>& folders);

  const RunDirectory& run_;
  bool fresh_;
  FileSystem& files_;
  std::vector<std::string> made_;  // outer ones first
  std::unique_ptr<RunLock> lock_;  // of a new run
};

// Of a run without checkpoint that is resumed. One that was ended before its first save has lines
// of steps that come once more, and `warn` is told; lines of later steps tell that checkpoints were
// there and got lost: DataError. `cut_short` names a save that did not come to its end, if any.
void require_may_begin_again(const RunDirectory& run, const Configuration& configuration,
                             const std::string& cut_short,
                             const std::function<void(const std::string&)>& warn);

}  // namespace likely
