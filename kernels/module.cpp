// Modules are looked for beside the library that holds this function, and never closed.
#include "kernels/module.h"

#include <dlfcn.h>

#include <cstdlib>
#include <sstream>
#include <string>

namespace likely::kernels {
namespace {

// Once a library is open, by whatever path, what is linked with its name needs no path. Where no
// folder has it, the loader finds it or not.
void open_library(const std::string& name) {
  const char* const named = std::getenv("LIKELY_CUDA_LIBRARIES");
  std::istringstream folders(named ? named : "");
  void* library = nullptr;
  for (std::string folder; !library && std::getline(folders, folder, ':');)
    library = dlopen((std::filesystem::absolute(folder) / name).c_str(), RTLD_NOW | RTLD_LOCAL);
}

}  // namespace

std::filesystem::path path_beside_library(const std::string& file) {
  Dl_info here;
  dladdr(reinterpret_cast<const void*>(&module_exists), &here);
  return std::filesystem::absolute(here.dli_fname).parent_path() / file;
}

bool module_exists(const std::string& file) {
  return std::filesystem::exists(path_beside_library(file));
}

std::string open_module(const std::string& file, const std::string& library) {
  if (!module_exists(file))
    return "it was not there when likely was built";
  if (!library.empty())
    open_library(library);
  return dlopen(path_beside_library(file).c_str(), RTLD_NOW | RTLD_LOCAL) ? "" : dlerror();
}

std::size_t library_version(const std::string& file, const char* function) {
  void* const module = dlopen(path_beside_library(file).c_str(), RTLD_NOW | RTLD_NOLOAD);
  const auto version =
      module ? reinterpret_cast<std::size_t (*)()>(dlsym(module, function)) : nullptr;
  return version ? version() : 0;
}

}  // namespace likely::kernels
