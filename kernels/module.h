// Modules: shared objects beside liblikely.so that bring kernels when they are opened.
#pragma once
#include <filesystem>
#include <string>

namespace likely::kernels {

bool module_exists(const std::string& file);  // "liblikely_onednn.so"

// Opens a module; its static objects register what it has, once. Returns the reason where that
// failed, and an empty string where it is open. A `library` that it is linked with
// is taken from LIKELY_CUDA_LIBRARIES (folders, with : between) where it lies in one of them.
std::string open_module(const std::string& file, const std::string& library = "");

// Where a module, or a program that lies beside the library too, is.
std::filesystem::path path_beside_library(const std::string& file);

// What `function` of an open module's vendor library gives: "cudnnGetVersion".
std::size_t library_version(const std::string& file, const char* function);

}  // namespace likely::kernels
