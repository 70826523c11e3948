// Modules are looked for beside the library that holds this function, and never closed.
#include "kernels/module.h"

#include <dlfcn.h>

#include <filesystem>
#include <map>
#include <mutex>

namespace likely::kernels {
namespace {

std::filesystem::path path_of(const std::string& file) {
  Dl_info here;
  dladdr(reinterpret_cast<const void*>(&module_exists), &here);
  return std::filesystem::absolute(here.dli_fname).parent_path() / file;
}

}  // namespace

bool module_exists(const std::string& file) { return std::filesystem::exists(path_of(file)); }

std::string open_module(const std::string& file) {
  static std::mutex mutex;
  static std::map<std::string, std::string> problems;
  const std::lock_guard lock(mutex);
  const auto known = problems.find(file);
  if (known != problems.end())
    return known->second;
  std::string problem;
  if (!module_exists(file))
    problem = "it was not there when likely was built";
  else if (!dlopen(path_of(file).c_str(), RTLD_NOW | RTLD_LOCAL))
    problem = dlerror();
  return problems[file] = problem;
}

}  // namespace likely::kernels
