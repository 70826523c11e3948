// parallel_for on OpenMP, or on std::thread where ThreadSanitizer watches: it cannot see libgomp's
// barriers.
#include "kernels/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#ifndef LIKELY_STD_THREADS
#include <omp.h>
#endif

#include "tensor/error.h"

namespace likely::kernels {
namespace {

std::atomic<int>& thread_count() {
#ifdef LIKELY_STD_THREADS
  static std::atomic<int> count{std::max(1, static_cast<int>(std::thread::hardware_concurrency()))};
#else
  static std::atomic<int> count{omp_get_max_threads()};
#endif
  return count;
}

thread_local int index_here = 0;
thread_local bool inside = false;

void run_team(int team, ChunkFunction worker) {
#ifdef LIKELY_STD_THREADS
  std::vector<std::thread> others;
  for (int index = 1; index < team; ++index)
    others.emplace_back([worker, index] { worker(index, index + 1); });
  worker(0, 1);
  for (std::thread& other : others)
    other.join();
#else
#pragma omp parallel num_threads(team)
  {
    const int index = omp_get_thread_num();
    worker(index, index + 1);
  }
#endif
}

}  // namespace

void parallel_for(std::int64_t n, std::int64_t grain, ChunkFunction f) {
  if (n <= 0)
    return;
  require(grain > 0, "parallel_for: the grain is {}. Give at least 1.", grain);
  const std::int64_t chunks = (n - 1) / grain + 1;
  const auto run_chunk = [&](std::int64_t chunk) {
    f(chunk * grain, std::min(n, (chunk + 1) * grain));
  };
  const int team = static_cast<int>(std::min<std::int64_t>(threads(), chunks));
  if (inside || team == 1) {
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
      run_chunk(chunk);
    return;
  }

  // A thread begins with chunks of its own, the same ones in every pass over as many, for they are
  // in its cache; then it takes from the others.
  struct alignas(64) Share {
    std::atomic<std::int64_t> next;
    std::int64_t end;
  };
  std::vector<Share> shares(static_cast<std::size_t>(team));
  for (int i = 0; i < team; ++i) {
    shares[i].next = chunks * i / team;
    shares[i].end = chunks * (i + 1) / team;
  }
  std::atomic<bool> failed{false};
  std::exception_ptr failure;
  run_team(team, [&](std::int64_t index, std::int64_t) {
    inside = true;
    index_here = static_cast<int>(index);
    try {
      for (int i = 0; i < team; ++i) {
        Share& share = shares[(index + i) % team];
        std::int64_t chunk;
        while (!failed && (chunk = share.next++) < share.end)
          run_chunk(chunk);
      }
    } catch (...) {
      if (!failed.exchange(true))
        failure = std::current_exception();
    }
    index_here = 0;
    inside = false;
  });
  if (failure)
    std::rethrow_exception(failure);
}

int threads() { return thread_count(); }

void set_threads(int count) {
  require<UsageError>(count >= 1, "threads: {} is not a number of threads. Give 1 or more.", count);
  thread_count() = count;
}

int thread_index() { return index_here; }

}  // namespace likely::kernels
