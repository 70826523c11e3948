// What is said of a GPU, by a driver that answers as it is told (tests/fakes/driver.cpp).
#include "kernels/gpu.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <utility>
#include <vector>

using namespace likely::kernels;

namespace {

using Answers = std::vector<std::pair<const char*, const char*>>;

// The driver's answers while it lives.
class Told {
 public:
  explicit Told(Answers answers) : answers_(std::move(answers)) {
    for (const auto& [name, value] : answers_)
      setenv(name, value, 1);
  }
  ~Told() {
    for (const auto& answer : answers_)
      unsetenv(answer.first);
  }

 private:
  Answers answers_;
};

std::string problem(Answers answers) {
  const Told told(std::move(answers));
  return ask_driver(FAKE_DRIVER).problem;
}

}  // namespace

TEST_CASE("gpu: without a driver there is none, and nothing to say") {
  const Gpu gpu = ask_driver("libno-such-driver.so.1");
  CHECK(gpu.driver == 0);
  CHECK(gpu.name.empty());
  CHECK(gpu.problem.empty());
}

TEST_CASE("gpu: a driver's device is described") {
  const Gpu gpu = ask_driver(FAKE_DRIVER);
  CHECK(gpu.problem.empty());
  CHECK(gpu.name == "Fake GPU");
  CHECK(gpu.count == 1);
  CHECK(gpu.major == 9);
  CHECK(gpu.minor == 0);
  CHECK(gpu.memory == std::size_t{80} << 30);
  CHECK(gpu.driver == 13000);
}

TEST_CASE(
    "gpu: the second of two is described as the first is; where there is none of that number, it "
    "says so") {
  const Told told(Answers{{"FAKE_COUNT", "2"}});
  CHECK(ask_driver(FAKE_DRIVER, 1).name == "Fake GPU");
  CHECK(ask_driver(FAKE_DRIVER, 1).index == 1);
  CHECK(ask_driver(FAKE_DRIVER, 2).problem ==
        "the driver finds no GPU (CUDA_VISIBLE_DEVICES may hide it)");
}

TEST_CASE("gpu: each reason against using one is told") {
  CHECK(problem({{"FAKE_VERSION", "12040"}}) ==
        "the driver supports CUDA 12.4, likely needs 13.0: install driver 580 or later");
  CHECK(problem({{"FAKE_MAJOR", "7"}}) ==
        "Fake GPU has compute capability 7.0, likely needs 8.0 (Ampere)");
  CHECK(problem({{"FAKE_CONTEXT", "46"}}) ==
        "the GPU is busy: another process holds it exclusively");
  CHECK(problem({{"FAKE_INIT", "802"}}) ==
        "the GPUs' fabric is not ready: start nvidia-fabricmanager");
  CHECK(problem({{"FAKE_INIT", "803"}}) ==
        "the driver's library and its kernel module differ in version: reboot");
  CHECK(problem({{"FAKE_INIT", "34"}}) ==
        "the driver library is the toolkit's stub: install NVIDIA's driver");
  CHECK(problem({{"FAKE_INIT", "100"}}) ==
        "the driver finds no GPU (CUDA_VISIBLE_DEVICES may hide it)");
  CHECK(problem({{"FAKE_COUNT", "0"}}) ==
        "the driver finds no GPU (CUDA_VISIBLE_DEVICES may hide it)");
  CHECK(problem({{"FAKE_INIT", "999"}}) == "the driver reports error 999");
}
