#include "zoo/run/checkpoint_names.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <string_view>

namespace likely {

namespace fs = std::filesystem;

std::string folder_name(std::int64_t step) { return fmt::format("step-{}", step); }

std::int64_t step_of_name(const std::string& name) {
  std::int64_t step = -1;
  if (name.starts_with("step-"))
    std::from_chars(name.data() + 5, name.data() + name.size(), step);
  return name == folder_name(step) ? step : -1;
}

std::int64_t cut_short_step(const std::string& name) {
  for (const std::string_view end : {".partial", ".old"})
    if (name.starts_with(".") && name.ends_with(end))
      return step_of_name(name.substr(1, name.size() - 1 - end.size()));
  return -1;
}

bool is_pointer(const std::string& name) {
  return name == "last" || name == "previous" || name == "best";
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::directory;
}

bool is_there(const std::string& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

std::string target_of(const std::string& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? "" : target.string();
}

}  // namespace likely
