// parallel_for: which chunks, on which threads, and what happens to exceptions.
#include "kernels/parallel.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// ThreadSanitizer starts no threads after a fork.
#ifdef __SANITIZE_THREAD__
const auto not_watched = doctest::skip(true);
#else
const auto not_watched = doctest::skip(false);
#endif

std::vector<std::pair<std::int64_t, std::int64_t>> chunks(std::int64_t n, std::int64_t grain) {
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  std::mutex mutex;
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    seen.emplace_back(begin, end);
  });
  std::sort(seen.begin(), seen.end());
  return seen;
}

}  // namespace

TEST_CASE("parallel_for: chunks depend on n and grain, not on threads") {
  for (const auto& [n, grain] : {std::pair{0, 5}, {1, 5}, {5, 5}, {6, 5}, {1000, 7}}) {
    const Threads one(1);
    const auto expected = chunks(n, grain);
    std::int64_t next = 0;
    for (const auto& [begin, end] : expected) {
      CHECK(begin == next);
      CHECK(end == std::min<std::int64_t>(n, begin + grain));
      next = end;
    }
    CHECK(next == n);
    for (const int count : {2, 5}) {
      const Threads more(count);
      CHECK(chunks(n, grain) == expected);
    }
  }
}

TEST_CASE("parallel_for: every thread has an index of its own below threads()") {
  const Threads here(4);
  std::atomic<int> inside[4] = {};
  std::atomic<bool> wrong{false};
  parallel_for(2000, 1, [&](std::int64_t, std::int64_t) {
    const int index = thread_index();
    if (index < 0 || index >= threads() || inside[index]++ != 0)
      wrong = true;
    inside[index]--;
  });
  CHECK(!wrong);
  CHECK(thread_index() == 0);
}

TEST_CASE("parallel_for: a nested call runs on its own thread alone") {
  const Threads here(3);
  std::atomic<int> wrong{0}, sum{0};
  parallel_for(30, 1, [&](std::int64_t, std::int64_t) {
    const int index = thread_index();
    parallel_for(10, 1, [&](std::int64_t begin, std::int64_t) {
      wrong += thread_index() != index;
      sum += static_cast<int>(begin);
    });
  });
  CHECK(wrong == 0);
  CHECK(sum == 30 * 45);
}

TEST_CASE("parallel_for: an exception arrives where it was called, and the next call works") {
  for (const int count : {1, 3}) {
    const Threads here(count);
    const auto failing = [](std::int64_t begin, std::int64_t) {
      require(begin != 40, "chunk {} failed", begin);
    };
    CHECK(message([&] { parallel_for(100, 1, failing); }) == "chunk 40 failed");
    CHECK(chunks(10, 5).size() == 2);
  }
}

TEST_CASE("parallel_for: calls from two threads at once both do all of their chunks once") {
  const Threads here(3);
  std::atomic<int> wrong{0};
  const auto calls = [&] {
    for (int call = 0; call < 300; ++call) {
      std::vector<std::atomic<int>> done(50);
      parallel_for(50, 1, [&](std::int64_t begin, std::int64_t) { ++done[begin]; });
      wrong += std::any_of(done.begin(), done.end(), [](const auto& times) { return times != 1; });
    }
  };
  std::thread other(calls);
  calls();
  other.join();
  CHECK(wrong == 0);
}

TEST_CASE("parallel_for: a child process after a fork has threads of its own" * not_watched) {
  const Threads here(4);
  chunks(100, 1);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // instead of waiting for threads that are not there
    std::set<int> seen;
    std::mutex mutex;
    while (seen.size() < 2)  // until one of the others has been run in time
      parallel_for(100, 1, [&](std::int64_t, std::int64_t) {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        const std::lock_guard lock(mutex);
        seen.insert(thread_index());
      });
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(chunks(100, 1).size() == 100);
}

TEST_CASE("parallel_for: every chunk is done when it returns, after short waits and long ones") {
  const Threads here(2);
  const auto call = [](int microseconds) {
    std::atomic<int> done{0};
    parallel_for(2, 1, [&](std::int64_t, std::int64_t) {
      std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
      ++done;
    });
    return done.load();
  };
  int wrong = 0;
  for (int i = 0; i < 100; ++i) {  // short and long waits of both
    wrong += call(0) != 2;
    wrong += call(i) != 2;
    std::this_thread::sleep_for(std::chrono::microseconds(3 * i));
  }
  CHECK(wrong == 0);
}

TEST_CASE("parallel_for: threads beyond the CPUs take no time from those that work" * not_watched) {
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before))
      CPU_SET(cpu, &one);
  // CPU seconds, for the machine has other work: threads that spin at barriers take 3 to 30 times
  // as many as one thread alone.
  const auto seconds = [](int count) {
    const Threads here(count);
    const std::clock_t begin = std::clock();
    std::atomic<double> sum{0};
    for (int call = 0; call < 2000; ++call)
      parallel_for(8, 1, [&](std::int64_t, std::int64_t) {
        double x = 1;
        for (int i = 0; i < 1000; ++i)
          x = x * 0.999 + 1;
        sum = x;
      });
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  };
  // In a process of its own, whose threads all inherit the one CPU.
  const pid_t child = fork();
  if (child == 0) {
    sched_setaffinity(0, sizeof one, &one);
    const double alone = seconds(1);
    _exit(seconds(2) > 1.5 * alone + 0.02);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("parallel_for: messages") {
  CHECK(message([] { set_threads(0); }) ==
        "threads: 0 is not a number of threads. Give 1 or more.");
  CHECK(message([] { parallel_for(3, 0, [](std::int64_t, std::int64_t) {}); }) ==
        "parallel_for: the grain is 0. Give at least 1.");
}
