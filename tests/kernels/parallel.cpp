// parallel_for: which chunks, on which threads, and what happens to exceptions.
#include "kernels/parallel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

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

TEST_CASE("parallel_for: messages") {
  CHECK(message([] { set_threads(0); }) ==
        "threads: 0 is not a number of threads. Give 1 or more.");
  CHECK(message([] { parallel_for(3, 0, [](std::int64_t, std::int64_t) {}); }) ==
        "parallel_for: the grain is 0. Give at least 1.");
}
