// Checkpoints: folders step-N, each written whole before the links `last` and `previous` name it.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor.h"
#include "zoo/run/file_system.h"

namespace likely {

// All that the next step depends on. No time and no path, so that equal states have equal bytes.
struct Checkpoint {
  using Tensors = std::vector<std::pair<std::string, Tensor>>;

  std::int64_t step = 0;
  std::string hash;                          // of the configuration
  std::map<std::string, std::string> facts;  // counters and choices, for state.json
  Tensors model;                             // weights by the module's names, for anybody to load
  Tensors average;                           // the same of the moving average; may be empty
  Tensors state;                             // moments, counts, StepState
};

// The folder `checkpoints` of a run.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::string folder, FileSystem& files = real_file_system());

  // Writes, syncs and renames, then moves the links and removes what they no longer name. Throws
  // SaveError where any of it fails; whatever happened, what `last` or `previous` names is whole.
  // Calls `warn` where only the removal of old folders failed.
  void save(const Checkpoint& checkpoint, const std::function<void(const std::string&)>& warn);

  // `last`, or `previous` with a warning where that is broken. DataError where neither is whole.
  Checkpoint load(const std::function<void(const std::string&)>& warn) const;
  bool empty() const;  // neither link is there

 private:
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const Checkpoint& checkpoint, const std::string& into);
  void require_space(const Checkpoint& checkpoint);
  void point(const std::string& link, const std::string& target);
  void remove_old(const std::function<void(const std::string&)>& warn);

  std::string folder_;
  FileSystem& files_;
};

}  // namespace likely
