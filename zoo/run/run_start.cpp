#include "zoo/run/run_start.h"

#include <filesystem>

#include "zoo/run/machine.h"
#include "zoo/run/metrics.h"
#include "zoo/run/program.h"

namespace likely {

namespace fs = std::filesystem;

void RunStart::write(const Configuration& configuration, Device device) {
  std::error_code error;
  std::vector<std::string> outer;
  for (fs::path folder = run_.path(); !folder.empty() && !fs::exists(folder, error);
       folder = folder.parent_path())
    outer.insert(outer.begin(), folder.string());
  try {
    make_missing(outer);
    if (fresh_) {
      auto lock = std::make_unique<RunLock>(run_.path(), "train", files_);
      run_.require_unused(files_);  // another one may have begun, and ended, meanwhile
      lock_ = std::move(lock);
    }
    make_missing({run_.checkpoints(), run_.samples()});
    replace_file(files_, run_.environment(), environment_json(device));
    const std::string text = with_absolute_folders(configuration).to_toml();
    if (!fs::exists(run_.configuration()) || text != read_file(run_.configuration(), 1 << 20))
      replace_file(files_, run_.configuration(), text);
  } catch (...) {
    take_back();
    throw;
  }
}

void RunStart::make_missing(const std::vector<std::string>& folders) {
  std::error_code error;
  for (const std::string& folder : folders) {
    if (fs::exists(folder, error))
      continue;
    if (files_.make_folder(folder) != 0)
      fail_to_save("make the folder " + folder);
    made_.push_back(folder);
  }
}

void RunStart::take_back() {
  if (!fresh_)
    return;
  std::error_code error;
  if (lock_)  // else the files are another one's
    for (const std::string& file : {run_.configuration(), run_.environment(), run_.metrics()})
      fs::remove(file, error);
  lock_.reset();
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder)
    fs::remove(*folder, error);  // fails where it is not empty
  made_.clear();
}

void require_may_begin_again(const RunDirectory& run, const Configuration& configuration,
                             const std::string& cut_short,
                             const std::function<void(const std::string&)>& warn) {
  const std::int64_t told = read_metrics(run.metrics()).last_step,
                     first_save = configuration.settings.integer("save-every");
  require<DataError>(
      told <= first_save,
      "resume: {} holds no checkpoint, but {} tells of step {}, and steps were to be saved from {} "
      "on. Put the checkpoints back, or train anew: likely train {} --config {}",
      run.checkpoints(), run.metrics(), told, first_save, configuration.model, run.configuration());
  if (told > 0 || !cut_short.empty())
    warn(fmt::format("resume: {} holds no checkpoint{}. Begins again with step 1{}.",
                     run.checkpoints(),
                     cut_short.empty() ? "" : " but a save that was cut short: " + cut_short,
                     told > 0 ? fmt::format("; {} told of step {}", run.metrics(), told) : ""));
}

}  // namespace likely
