// RunDirectory: where the files of a run lie.
#pragma once
#include <memory>
#include <string>

#include "zoo/run/configuration.h"
#include "zoo/run/run_lock.h"

namespace likely {

class RunDirectory {
 public:
  // Of a new run, to be made (run_start.h) once all else is known to be well. UsageError where
  // something is there already, or nothing could be made there.
  static RunDirectory planned(const std::string& path, FileSystem& files = real_file_system());
  // UsageError where a new run cannot have this folder: it holds files, or another process has it.
  void require_unused(FileSystem& files) const;
  // UsageError where `path` holds no run.
  static RunDirectory open(const std::string& path);
  // For a verb that writes into it; UsageError where another process does (run_lock.h).
  static RunDirectory open_to_write(const std::string& path, const std::string& verb,
                                    FileSystem& files = real_file_system());
  // "runs/vae-shapes-quick-20260102-030405", not there yet.
  static std::string fresh_name(const Configuration& configuration);

  const std::string& path() const { return path_; }
  std::string configuration() const { return path_ + "/config.toml"; }
  std::string environment() const { return path_ + "/environment.json"; }
  std::string metrics() const { return path_ + "/metrics.jsonl"; }
  std::string evaluation() const { return path_ + "/evaluation.json"; }
  std::string exported() const { return path_ + "/pytorch.safetensors"; }
  std::string report() const { return path_ + "/report.html"; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string samples() const { return path_ + "/samples"; }
  // "samples/step-000500.png", "samples/reconstructions-000500.png"
  std::string picture(const std::string& kind, std::int64_t step) const;

  // The configuration as config.toml has it, with `changes` of the command line.
  Configuration read_configuration(const ModelDescription& description,
                                   const GivenSettings& changes = {}) const;

 private:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
  std::shared_ptr<RunLock> lock_;  // where this process writes
};

}  // namespace likely
