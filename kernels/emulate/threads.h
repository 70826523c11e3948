// The threads of a block: which wait, which are ready, and the stacks they run on.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "kernels/emulate/engine.h"
#include "kernels/emulate/launch.h"
#include "kernels/emulate/order.h"
#include "kernels/emulate/sanitizers.h"
#include "kernels/emulate/stack.h"

namespace likely::kernels::emulate {

constexpr int most_threads = 1024;

// ThreadSanitizer would take two threads on one stack for a race.
#ifdef __SANITIZE_THREAD__
constexpr bool own_stacks = true;
#else
constexpr bool own_stacks = false;
#endif

struct Thread {
  Stack* stack = nullptr;
  Fiber fiber{};
  const char* what = nullptr;  // what it waits in, if it does, and where
  Site site;
  bool exited = false;
};

struct Meeting {
  Lanes lanes;
  const char* what;
  unsigned arrived;
  char* token;  // carries the order of a meeting that gives one
};

struct Warp {
  unsigned present, exited;
  int count;  // of meetings; there are several when a warp has split
  std::array<Meeting, 32> meetings;
  unsigned serial;
  std::array<char, 64> tokens;
};

class Engine {
 public:
  void run(const Launch& launch);
  void barrier(Site site);
  void meet(unsigned mask, const char* what, void* mine, void (*together)(const Lanes&),
            bool ordered, Site site);

 private:
  // While alive, ThreadSanitizer sees the engine, not the thread that called it.
  struct Inside {
    LIKELY_SWITCHES explicit Inside(Engine& engine) : thread(engine.threads_[engine.running_]) {
      go_on_as(engine.fiber_);
    }
    LIKELY_SWITCHES ~Inside() {
      thread.what = nullptr;
      go_on_as(thread.fiber);
    }
    Thread& thread;
  };

  void run_block();
  static void enter();
  void work();
  void start(int thread);
  void end(int thread);
  void wait();
  void open_barrier();
  void release(std::uint16_t* threads, int count);
  Meeting& join(Warp& warp, unsigned mask, const char* what, Site site);
  Stack* next();
  Stack* stack_to_start_on();
  Stack* add_stack();
  void blame(int thread, const std::string& what);
  std::string who_waits() const;
  void abandon();

  const Launch* launch_ = nullptr;
  Order order_;
  std::array<Thread, most_threads> threads_;
  std::array<Warp, most_threads / 32> warps_;
  int count_ = 0, started_ = 0, alive_ = 0, arrived_ = 0, running_ = 0;
  std::array<std::uint16_t, most_threads> starts_{};  // the order in which threads begin
  std::array<std::uint16_t, most_threads> ready_{};   // a ring
  int ready_first_ = 0, ready_count_ = 0;
  std::string fault_;

  Stack scheduler_;
  std::deque<Stack> stacks_;
  std::vector<Stack*> idle_;  // on which no thread is
  Stack* stack_ = nullptr;    // the one in use

  Fiber fiber_{};   // the engine's, which is the caller's
  int fibers_ = 0;  // threads that have theirs
  unsigned block_ = 0, phase_ = 0;
  std::array<char, 2> done_{}, passed_{};  // tokens: of blocks and barriers, even and odd
};

extern Engine& engine;

}  // namespace likely::kernels::emulate
