#include "zoo/run/run_directory.h"

#include <ctime>
#include <filesystem>

namespace likely {

namespace fs = std::filesystem;

namespace {

bool holds_files(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename() != RunLock::file_name)
      return true;
  return false;
}

// The lock of a new run's folder, which holds nothing.
std::shared_ptr<RunLock> lock_new(const std::string& path, FileSystem& files) {
  const auto require_empty = [&] {
    require<UsageError>(!holds_files(path),
                        "train: {} already holds files. Go on with `likely resume {}`, or choose "
                        "another --out.",
                        path, path);
  };
  if (holds_files(path))
    RunLock::require_free(path, "train", files);
  require_empty();
  if (files.make_folder(path) != 0)
    fail_to_save("make the folder " + path);
  auto lock = std::make_shared<RunLock>(path, "train", files);
  require_empty();  // another one may have begun and ended meanwhile
  return lock;
}

}  // namespace

RunDirectory RunDirectory::create(const std::string& path, const Configuration& configuration,
                                  FileSystem& files) {
  std::error_code error;
  const bool there = fs::exists(path, error);
  require<UsageError>(!there || fs::is_directory(path, error),
                      "train: {} is a file. Choose another --out.", path);
  const fs::path parent = fs::path(path).parent_path();
  if (!parent.empty())
    fs::create_directories(parent, error);
  RunDirectory run(path);
  run.lock_ = lock_new(path, files);
  for (const std::string& folder : {run.checkpoints(), run.samples()})
    if (files.make_folder(folder) != 0)
      fail_to_save("make the folder " + folder);
  replace_file(files, run.configuration(), configuration.to_toml());
  return run;
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
  return resolve(description, read_toml(read_file(configuration(), 1 << 20), configuration()),
                 changes);
}

}  // namespace likely
