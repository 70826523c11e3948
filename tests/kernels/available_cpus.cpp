// How many CPUs there are for this process, of cgroups made up in a folder.
#include "kernels/available_cpus.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "tests/one_cpu.h"

using namespace likely::kernels;
namespace fs = std::filesystem;

namespace {

// A folder that stands for the root of a machine.
class Root {
 public:
  Root() : path_(fs::temp_directory_path() / ("likely-cgroups-" + std::to_string(getpid()))) {
    fs::remove_all(path_);
  }
  ~Root() { fs::remove_all(path_); }
  Root& with(const std::string& file, const std::string& text) {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
    return *this;
  }
  double quota() const { return cpu_quota(path_); }

 private:
  fs::path path_;
};

const std::string second =
    "22 1 0:21 / /proc rw,relatime - proc proc rw\n"
    "31 1 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
const std::string first =
    "30 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "31 1 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

}  // namespace

TEST_CASE("available CPUs: without /proc and /sys nothing limits them") {
  CHECK(std::isinf(Root().quota()));
  CHECK(std::isinf(Root().with("proc/self/mountinfo", "").quota()));
}

TEST_CASE("available CPUs: the tightest limit of all cgroups above counts, version 2") {
  Root root;
  root.with("proc/self/mountinfo", second).with("proc/self/cgroup", "0::/pod/container\n");
  CHECK(std::isinf(root.quota()));
  root.with("sys/fs/cgroup/pod/container/cpu.max", "max 100000\n");
  CHECK(std::isinf(root.quota()));
  root.with("sys/fs/cgroup/pod/cpu.max", "150000 100000\n");
  CHECK(root.quota() == 1.5);
  root.with("sys/fs/cgroup/pod/container/cpu.max", "50000 100000\n");
  CHECK(root.quota() == 0.5);
  root.with("sys/fs/cgroup/cpu.max", "5000 20000\n");
  CHECK(root.quota() == 0.25);
  root.with("sys/fs/cgroup/pod/other/cpu.max", "1000 100000\n");  // of a neighbour
  CHECK(root.quota() == 0.25);
}

TEST_CASE("available CPUs: a container that sees only its own cgroup, version 2") {
  Root root;
  root.with("sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(root.quota() == 2);  // no /proc
  root.with("proc/self/mountinfo", second).with("proc/self/cgroup", "0::/\n");
  CHECK(root.quota() == 2);
  root.with("proc/self/cgroup", "0::/../../elsewhere\n");  // another namespace
  CHECK(root.quota() == 2);
}

TEST_CASE("available CPUs: the tightest limit of all cgroups above counts, version 1") {
  Root root;
  root.with("proc/self/mountinfo", first)
      .with("proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/a/b\n0::/\n")
      .with("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n")
      .with("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
  CHECK(std::isinf(root.quota()));
  root.with("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "300000\n")
      .with("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  CHECK(root.quota() == 3);
  root.with("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "50000\n");
  CHECK(root.quota() == 0.5);
}

TEST_CASE("available CPUs: a group that is mounted alone, and a path with spaces, version 1") {
  Root root;
  root.with("proc/self/mountinfo",
            "31 1 0:28 /docker/one /a\\040place/cpu rw - cgroup cgroup rw,cpu\n")
      .with("proc/self/cgroup", "4:cpu:/docker/one/inner\n")
      .with("a place/cpu/cpu.cfs_quota_us", "70000\n")
      .with("a place/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(root.quota() == doctest::Approx(0.7));
  root.with("a place/cpu/inner/cpu.cfs_quota_us", "10000\n")
      .with("a place/cpu/inner/cpu.cfs_period_us", "100000\n");
  CHECK(root.quota() == doctest::Approx(0.1));
  root.with("proc/self/cgroup", "4:cpu:/somewhere/else\n");
  CHECK(root.quota() == doctest::Approx(0.7));
}

TEST_CASE("available CPUs: text that is none of the kernel's limits nothing") {
  Root root;
  root.with("proc/self/mountinfo", "- - -\n31 1\n - cgroup2\n" + second)
      .with("proc/self/cgroup", "0\n::\n0:\n0::relative\n")
      .with("sys/fs/cgroup/cpu.max", "0 100000\n");
  CHECK(std::isinf(root.quota()));
  root.with("sys/fs/cgroup/cpu.max", "100000 0\n");
  CHECK(std::isinf(root.quota()));
  root.with("sys/fs/cgroup/cpu.max", "many\n");
  CHECK(std::isinf(root.quota()));
}

TEST_CASE("available CPUs: an affinity of one CPU leaves one") {
  int before;
  {
    const OneCpu one;
    before = one.before();
    CHECK(available_cpus() <= 1);
  }
  CHECK(available_cpus() <= before);
}

TEST_CASE(
    "available CPUs: threads are a whole number, and OMP_NUM_THREADS decides where it is one") {
  const char* const named = std::getenv("OMP_NUM_THREADS");
  const std::string before = named ? named : "";
  CHECK(threads_for(0.1) == 1);
  CHECK(threads_for(0.5) == 1);
  CHECK(threads_for(1.4) == 1);
  CHECK(threads_for(1.5) == 2);
  CHECK(threads_for(64) == 64);
  setenv("OMP_NUM_THREADS", "7", 1);
  CHECK(default_threads() == 7);
  setenv("OMP_NUM_THREADS", "5,3", 1);  // by level of nesting
  CHECK(default_threads() == 5);
  for (const char* wrong : {"", "0", "-2", "many", "99999999999"}) {
    setenv("OMP_NUM_THREADS", wrong, 1);
    CHECK(default_threads() == threads_for(available_cpus()));
  }
  unsetenv("OMP_NUM_THREADS");
  if (named)
    setenv("OMP_NUM_THREADS", before.c_str(), 1);
}
