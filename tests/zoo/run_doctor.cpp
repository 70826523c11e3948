// doctor: what it says of the proofs that kernels passed or failed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <sstream>
#include <thread>

#include "kernels/available_cpus.h"
#include "kernels/first_contact.h"
#include "tests/one_cpu.h"
#include "tests/zoo/temporary_folder.h"
#include "zoo/run/machine.h"

using namespace likely;

TEST_CASE("doctor: a kernel that failed its proof is named with its case, index, value and bound") {
  if (!kernels::emulated_kernels_built()) {
    MESSAGE("skipped: there is no emulated device");
    return;
  }
  const TemporaryFolder folder;
  setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  setenv("LIKELY_EMULATE", "forward", 0);
  const auto has = [](const std::string& part) {
    return doctor("nowhere").find(part) != std::string::npos;
  };
  CHECK(!has("proofs"));
  kernels::record_verdicts(
      kernels::own_contact(kernels::Cuda::emulated),
      {{.kernel = "matmul/64x64/f32", .proof = "ragged batch", .error = 1e-7, .bar = 1e-6},
       {.kernel = "matmul/128x128/f32",
        .proof = "four layouts",
        .error = 0.5,
        .bar = 1e-6,
        .where = "[3, 4] of result 1",
        .value = 7,
        .expected = 3}});
  CHECK(
      has("proofs      1 of 2 kernels passed on the CPU, which emulates a100\n"
          "  matmul/128x128/f32, four layouts: [3, 4] of result 1 is 7 instead of 3; error 0.5, "
          "bound 1e-06\n"));
}

TEST_CASE("doctor: of a GPU that is not there one line says so") {
  if (kernels::find_gpu().driver != 0 || kernels::gpu_kernels_built()) {
    MESSAGE("skipped: there is a GPU here, or kernels for one");
    return;
  }
  std::istringstream text(doctor("nowhere"));
  int lines = 0;
  for (std::string line; std::getline(text, line);)
    lines += line.find("GPU") != std::string::npos || line.find("CUDA") != std::string::npos ||
             line.find("cuDNN") != std::string::npos;
  CHECK(lines == 1);
}

TEST_CASE("doctor: says how many cores there are, and how many of them are this process's") {
  std::string text, environment;
  {
    const OneCpu one;
    text = doctor("nowhere");
    environment = environment_json(Device::cpu);
  }
  const unsigned here = std::thread::hardware_concurrency();
  if (kernels::cpu_quota() >= 1) {
    CHECK(text.find(here == 1 ? std::string(", 1 cores\n")
                              : fmt::format(", 1 of {} cores, as affinity and cgroups allow\n",
                                            here)) != std::string::npos);
    CHECK(environment.find("\"cores\": 1,") != std::string::npos);
  }
}
