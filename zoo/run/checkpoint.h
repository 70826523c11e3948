// Checkpoints: folders step-N, each written whole and proven so before any older one goes.
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

  const std::string& fact(const std::string& name) const;  // DataError where there is none
};

// The folder `checkpoints` of a run. What counts are whole folders step-N, newest first; the links
// `last` and `previous` are for people, and may be missing or have become folders in a copy.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::string folder, FileSystem& files = real_file_system());

  // Writes, syncs, reads back and renames; only then moves the links and removes older folders but
  // the newest whole one. Throws SaveError where any of it fails. Calls `warn` where only the
  // removal failed, and once where the file system has no links.
  void save(const Checkpoint& checkpoint, const std::function<void(const std::string&)>& warn);

  // The newest whole one; `warn` is told of broken ones that were newer, and of a `last` that names
  // another. DataError where none is whole.
  Checkpoint load(const std::function<void(const std::string&)>& warn) const;
  bool empty() const { return found().empty(); }
  // What is there that is a checkpoint or could have been one: "step-10, last (a link to step-20)".
  std::string found() const;
  // The rest of saves that were cut short: ".step-10.partial".
  std::string cut_short() const;

 private:
  // A folder that may be a checkpoint, and the step that it is of.
  struct Candidate {
    std::string name;
    std::int64_t step;
  };
  using Warn = std::function<void(const std::string&)>;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::vector<std::string> names() const;
  std::vector<Candidate> candidates() const;
  bool is_whole(const std::string& name) const;
  std::string newest_whole_before(std::int64_t step) const;
  std::string about_last(const Candidate& taken) const;

  void require_space(const Checkpoint& checkpoint);
  void write(const Checkpoint& checkpoint, const std::string& into);
  void put_in_place(const std::string& partial, const std::string& name);
  bool make_way_for(const std::string& link, std::int64_t step);
  void point(const std::string& link, const std::string& target, const Warn& warn);
  void remove_old(std::int64_t step, const std::string& previous, const Warn& warn);

  std::string folder_;
  FileSystem& files_;
  bool said_no_links_ = false;
};

}  // namespace likely
