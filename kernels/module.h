// Modules: shared objects beside liblikely.so that bring kernels when they are opened.
#pragma once
#include <string>

namespace likely::kernels {

bool module_exists(const std::string& file);  // "liblikely_onednn.so"

// Opens a module once; its static objects register what it has. Returns the reason where that
// failed, now or before, and an empty string where it is open.
std::string open_module(const std::string& file);

}  // namespace likely::kernels
