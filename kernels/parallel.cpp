// parallel_for on a team of threads that live as long as the process.
//
// Nobody waits for a thread that has not begun. The caller offers each worker a share, works itself
// until no chunk is left, and withdraws what was not taken up: so a worker that the system does not
// run, under a quota or next to busy neighbours, delays nothing. Whoever waits looks for a few
// microseconds, then sleeps.
#include "kernels/parallel.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "kernels/available_cpus.h"
#include "tensor/error.h"

namespace likely::kernels {
namespace {

std::atomic<int>& thread_count() {
  static std::atomic<int> count{default_threads()};
  return count;
}

thread_local int index_here = 0;
thread_local bool inside = false;

// Longer than the work between most kernels, and not much longer than falling asleep and being
// woken takes. More threads than CPUs take the time of those that work: they sleep at once.
constexpr std::chrono::microseconds patience{50};

void wait_while(const std::atomic<int>& state, int value) {
  using Clock = std::chrono::steady_clock;
  static const double cpus = available_cpus();
  if (thread_count() <= cpus)
    for (const auto end = Clock::now() + patience; Clock::now() < end;)
      for (int i = 0; i < 32; ++i) {
        if (state.load(std::memory_order_acquire) != value)
          return;
        __builtin_ia32_pause();
      }
  state.wait(value, std::memory_order_acquire);
}

class Team {
 public:
  // Returns false where another thread's call has the workers.
  bool run(int wanted, std::int64_t chunks, ChunkFunction run_chunk) {
    const std::unique_lock only(mutex_, std::try_to_lock);
    if (!only)
      return false;
    members_ = grown_to(wanted);
    run_chunk_ = &run_chunk;
    failed_ = false;
    // A thread begins with chunks of its own, the same ones in every pass over as many, for they
    // are in its cache; then it takes from the others.
    for (int i = 0; i < members_; ++i) {
      seats_[i].next = chunks * i / members_;
      seats_[i].end = chunks * (i + 1) / members_;
    }
    for (int i = 1; i < members_; ++i) {
      seats_[i].state = offered;
      seats_[i].state.notify_one();
    }
    work(0);
    for (int i = 1; i < members_; ++i) {
      int state = offered;
      if (!seats_[i].state.compare_exchange_strong(state, idle) && state == working)
        wait_while(seats_[i].state, working);
    }
    if (failure_)
      std::rethrow_exception(std::exchange(failure_, nullptr));
    return true;
  }

 private:
  enum State : int { idle, offered, working };
  struct alignas(64) Seat {
    std::atomic<int> state{idle};
    std::atomic<std::int64_t> next;  // chunk of its share
    std::int64_t end;
  };

  // How many there are, the caller among them: as many as wanted, unless the system gives no more.
  int grown_to(int wanted) {
    if (seats_.empty())
      seats_.emplace_back();
    while (static_cast<int>(seats_.size()) < wanted && !exhausted_) {
      const int index = static_cast<int>(seats_.size());
      Seat& seat = seats_.emplace_back();
      try {
        std::thread([this, &seat, index] { serve(seat, index); }).detach();
      } catch (const std::system_error&) {
        seats_.pop_back();
        exhausted_ = true;
      }
    }
    return std::min(wanted, static_cast<int>(seats_.size()));
  }

  [[noreturn]] void serve(Seat& seat, int index) {
    for (;;) {
      wait_while(seat.state, idle);
      int state = offered;
      if (!seat.state.compare_exchange_strong(state, working))
        continue;  // withdrawn
      work(index);
      seat.state = idle;
      seat.state.notify_one();
    }
  }

  void work(int index) {
    inside = true;
    index_here = index;
    try {
      for (int i = 0; i < members_; ++i) {
        Seat& seat = seats_[(index + i) % members_];
        std::int64_t chunk;
        while (!failed_ && (chunk = seat.next++) < seat.end)
          (*run_chunk_)(chunk, chunk + 1);
      }
    } catch (...) {
      if (!failed_.exchange(true))
        failure_ = std::current_exception();
    }
    index_here = 0;
    inside = false;
  }

  std::mutex mutex_;
  std::deque<Seat> seats_;  // the caller's first
  bool exhausted_ = false;
  int members_ = 0;
  const ChunkFunction* run_chunk_ = nullptr;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
};

// Never destroyed: its threads sleep on it until the process ends. Threads do not follow a fork,
// so the child begins with a team of its own.
Team*& team() {
  static Team* here = [] {
    pthread_atfork(nullptr, nullptr, [] { team() = new Team; });
    return new Team;
  }();
  return here;
}

}  // namespace

void parallel_for(std::int64_t n, std::int64_t grain, ChunkFunction f) {
  if (n <= 0)
    return;
  require(grain > 0, "parallel_for: the grain is {}. Give at least 1.", grain);
  const std::int64_t chunks = (n - 1) / grain + 1;
  const auto run_chunk = [&](std::int64_t chunk, std::int64_t) {
    f(chunk * grain, std::min(n, (chunk + 1) * grain));
  };
  const int wanted = static_cast<int>(std::min<std::int64_t>(threads(), chunks));
  if (wanted > 1 && !inside && team()->run(wanted, chunks, run_chunk))
    return;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
    run_chunk(chunk, chunk + 1);
}

int threads() { return thread_count(); }

void set_threads(int count) {
  require<UsageError>(count >= 1, "threads: {} is not a number of threads. Give 1 or more.", count);
  thread_count() = count;
}

int thread_index() { return index_here; }

}  // namespace likely::kernels
