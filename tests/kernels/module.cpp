// Modules of kernels, and the vendor libraries that they are linked with.
#include "kernels/module.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

using namespace likely::kernels;

TEST_CASE("module: what is not there says so") {
  CHECK(!module_exists("liblikely_nothing.so"));
  CHECK(open_module("liblikely_nothing.so") == "it was not there when likely was built");
}

TEST_CASE("module: a library that the loader does not find is taken from LIKELY_CUDA_LIBRARIES") {
  const std::filesystem::path library = FAKE_VENDOR_LIBRARY;
  const std::string name = library.filename();
  CHECK(open_module(FAKE_VENDOR, name) ==
        name + ": cannot open shared object file: No such file or directory");
  setenv("LIKELY_CUDA_LIBRARIES", ("/nowhere:" + library.parent_path().string()).c_str(), 1);
  CHECK(open_module(FAKE_VENDOR, name) == "");
  CHECK(open_module(FAKE_VENDOR, name) == "");
  unsetenv("LIKELY_CUDA_LIBRARIES");
}
