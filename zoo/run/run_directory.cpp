#include "zoo/run/run_directory.h"

#include <ctime>
#include <filesystem>

#include "zoo/run/checkpoint.h"
#include "zoo/run/output_place.h"

namespace likely {

namespace fs = std::filesystem;

RunDirectory RunDirectory::planned(const std::string& path, FileSystem& files) {
  std::error_code error;
  require<UsageError>(!fs::exists(path, error) || fs::is_directory(path, error),
                      "train: {} is a file. Choose another --out.", path);
  const RunDirectory run(path);
  run.require_unused(files);
  fs::path writable = fs::absolute(path);
  while (!fs::exists(writable, error) && writable.has_relative_path())
    writable = writable.parent_path();
  require_writable("train: --out " + path, writable.string(), files);
  return run;
}

void RunDirectory::require_unused(FileSystem& files) const {
  std::error_code error;
  bool unused = true;
  for (const auto& entry : fs::directory_iterator(path_, error))
    unused = unused && entry.path().filename() == RunLock::file_name;
  if (unused)
    return;
  RunLock::require_free(path_, "train", files);
  const bool saved = !CheckpointFolder(checkpoints()).empty(),
             started = fs::exists(configuration(), error);
  fail<UsageError>("train: {} already holds files. {}hoose another --out.", path_,
                   saved     ? fmt::format("Go on with `likely resume {}`, or c", path_)
                   : started ? "They are of a run without a checkpoint: remove them, or c"
                             : "C");
}

RunDirectory RunDirectory::open(const std::string& path) {
  RunDirectory run(path);
  std::error_code error;
  require<UsageError>(
      fs::exists(run.configuration(), error),
      "{} holds no run: it has no config.toml. Give the folder that `train` printed.", path);
  return run;
}

RunDirectory RunDirectory::open_to_write(const std::string& path, const std::string& verb,
                                         FileSystem& files) {
  RunDirectory run = open(path);
  require_writable(verb + ": the run", path, files);
  run.lock_ = std::make_shared<RunLock>(path, verb, files);
  return run;
}

std::string RunDirectory::fresh_name(const Configuration& configuration) {
  const std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%Y%m%d-%H%M%S", std::localtime(&now));
  const std::string name = fmt::format("runs/{}-{}-{}-{}", configuration.model,
                                       configuration.data(), name_of(configuration.preset), date);
  std::string free = name;
  for (int i = 2; fs::exists(free); ++i)
    free = fmt::format("{}-{}", name, i);
  return free;
}

std::string RunDirectory::picture(const std::string& kind, std::int64_t step) const {
  return fmt::format("{}/{}-{:06}.png", samples(), kind, step);
}

Configuration RunDirectory::read_configuration(const ModelDescription& description,
                                               const GivenSettings& changes) const {
  return resolve(description, read_configuration_file(configuration()), changes);
}

}  // namespace likely
