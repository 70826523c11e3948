// The engine: runs the blocks of a launch one after the other, and the threads of a block one at a
// time. A stack takes thread after thread from those not yet started; when a thread must wait, its
// stack is parked, and another goes on with what is ready.
#include "kernels/emulate/engine.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <numeric>
#include <vector>

#include "kernels/emulate/block.h"
#include "kernels/emulate/launch.h"
#include "kernels/emulate/order.h"
#include "kernels/emulate/sanitizers.h"
#include "kernels/emulate/stack.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace likely::kernels::emulate {
namespace {

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
    LIKELY_SWITCHES explicit Inside(Engine& engine)
        : engine(engine), thread(engine.threads_[engine.running_]) {
      go_on_as(engine.fiber_);
    }
    LIKELY_SWITCHES ~Inside() {
      thread.what = nullptr;
      go_on_as(thread.fiber);
    }
    Engine& engine;
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

Engine engine;

LIKELY_SWITCHES void Engine::enter() { engine.work(); }

std::string text(Site site) { return fmt::format("{}:{}", site.file_name(), site.line()); }

bool same(Site a, Site b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

LIKELY_SWITCHES void Engine::run(const Launch& launch) {
  launch_ = &launch;
  count_ = launch.threads;
  gridDim = launch.blocks;
  blockDim = dim3(static_cast<unsigned>(count_));
  order_.begin();
  begin_launch(launch.shared_memory);
  for (; fibers_ < count_; ++fibers_)
    threads_[fibers_].fiber = make_fiber();
  fiber_ = this_fiber();
  before(&done_[++block_ % 2]);
  ignore_begin();
  const std::uint64_t blocks = std::uint64_t{launch.blocks.x} * launch.blocks.y * launch.blocks.z;
  for (std::uint64_t turn = 0; turn < blocks && fault_.empty(); ++turn) {
    const std::uint64_t block = order_.block(turn, blocks);
    blockIdx = {static_cast<unsigned>(block % launch.blocks.x),
                static_cast<unsigned>(block / launch.blocks.x % launch.blocks.y),
                static_cast<unsigned>(block / launch.blocks.x / launch.blocks.y)};
    ++block_;
    run_block();
  }
  ignore_end();
  after(&done_[0]);
  after(&done_[1]);
  if (!fault_.empty())
    throw Fault(std::exchange(fault_, {}));
}

LIKELY_SWITCHES void Engine::run_block() {
  begin_block();
  started_ = arrived_ = 0;
  alive_ = count_;
  std::iota(starts_.begin(), starts_.begin() + count_, std::uint16_t{0});
  order_.arrange(starts_.data(), count_);
  for (int first = 0; first < count_; first += 32) {
    Warp& warp = warps_[first / 32];
    warp.present = count_ - first >= 32 ? ~0u : (1u << (count_ - first)) - 1;
    warp.exited = 0;
    warp.count = 0;
  }
  stack_ = next();
  Stack::go(scheduler_, *stack_);
  if (alive_ > 0 && fault_.empty())
    blame(running_, "deadlock: " + who_waits());
  if (!stayed_in_shared_memory())
    blame(running_, "this or an earlier thread wrote beyond the block's shared memory");
  if (!fault_.empty())
    abandon();
}

// On every stack: begins threads until one is ready to go on, or none is left.
LIKELY_SWITCHES void Engine::work() {
  Stack* const mine = stack_;
  for (;;) {
    do
      start(starts_[started_++]);
    while (!own_stacks && ready_count_ == 0 && started_ < count_ && fault_.empty());
    if (!own_stacks)
      idle_.push_back(mine);
    stack_ = next();
    Stack::go(*mine, *stack_);
  }
}

LIKELY_SWITCHES void Engine::start(int number) {
  Thread& thread = threads_[number];
  running_ = number;
  threadIdx = {static_cast<unsigned>(number), 0, 0};
  thread.stack = stack_;
  thread.exited = false;
  begin_thread(number);
  char *const came = &done_[(block_ + 1) % 2], *const goes = &done_[block_ % 2];
  const auto call = launch_->call;
  const void* const arguments = launch_->arguments.get();
  go_on_as(thread.fiber);
  after(came);
  try {
    call(arguments);
  } catch (const std::exception& error) {
    blame(number, error.what());
  } catch (...) {
    blame(number, "it threw what is no exception");
  }
  before(goes);
  go_on_as(fiber_);
  end(number);
}

void Engine::end(int number) {
  Warp& warp = warps_[number / 32];
  const unsigned bit = 1u << number % 32;
  threads_[number].exited = true;
  warp.exited |= bit;
  --alive_;
  for (int i = 0; i < warp.count; ++i)
    if (warp.meetings[i].lanes.mask & bit)
      blame(number,
            fmt::format("it returned while lanes of its warp wait for it: {}", who_waits()));
  if (arrived_ > 0 && arrived_ == alive_)
    open_barrier();
}

// The running thread waits until release() has named it and its turn has come.
LIKELY_SWITCHES void Engine::wait() {
  Stack* const mine = stack_;
  stack_ = next();
  if (stack_ != mine)
    Stack::go(*mine, *stack_);
}

// Where the launch goes on: with a thread that is ready, with one not yet started, or not at all.
Stack* Engine::next() {
  if (!fault_.empty())
    return &scheduler_;
  if (ready_count_ > 0) {
    running_ = ready_[ready_first_];
    ready_first_ = (ready_first_ + 1) % most_threads;
    --ready_count_;
    threadIdx.x = static_cast<unsigned>(running_);
    return threads_[running_].stack;
  }
  return started_ < count_ ? stack_to_start_on() : &scheduler_;
}

Stack* Engine::stack_to_start_on() {
  if (own_stacks) {
    while (stacks_.size() <= starts_[started_])
      add_stack();
    return &stacks_[starts_[started_]];
  }
  if (idle_.empty())
    return add_stack();
  Stack* const stack = idle_.back();
  idle_.pop_back();
  return stack;
}

Stack* Engine::add_stack() {
  Stack& stack = stacks_.emplace_back(static_cast<int>(stacks_.size()));
  stack.restart(enter);
  return &stack;
}

// These threads, in ascending order, are ready to go on.
void Engine::release(std::uint16_t* threads, int count) {
  order_.arrange(threads, count);
  for (int i = 0; i < count; ++i)
    ready_[(ready_first_ + ready_count_++) % most_threads] = threads[i];
}

void Engine::open_barrier() {
  arrived_ = 0;
  ++phase_;
  std::array<std::uint16_t, most_threads> all;
  int size = 0;
  for (int i = 0; i < count_; ++i)
    if (!threads_[i].exited) {
      all[size++] = static_cast<std::uint16_t>(i);
      if (!same(threads_[all[0]].site, threads_[i].site))
        blame(i, "the block's threads wait at different barriers: " + who_waits());
    }
  release(all.data(), size);
}

LIKELY_SWITCHES void Engine::barrier(Site site) {
  char* const token = &passed_[phase_ % 2];
  before(token);
  {
    Inside inside(*this);
    inside.thread.what = "__syncthreads";
    inside.thread.site = site;
    if (++arrived_ == alive_)
      open_barrier();
    wait();
  }
  after(token);
}

// The meeting that a lane with this mask and these words belongs to.
Meeting& Engine::join(Warp& warp, unsigned mask, const char* what, Site site) {
  const int lane = running_ % 32;
  if (!(mask >> lane & 1))
    fault(site, "{}: the mask {:#010x} leaves out the calling lane {}", what, mask, lane);
  if (mask & ~warp.present)
    fault(site, "{}: the mask {:#010x} names lanes that the block does not have: {:#010x}", what,
          mask, mask & ~warp.present);
  if (mask & warp.exited)
    fault(site, "{}: the mask {:#010x} names lanes that have returned: {:#010x}", what, mask,
          mask & warp.exited);
  for (int i = 0; i < warp.count; ++i)
    if (warp.meetings[i].lanes.mask == mask && std::strcmp(warp.meetings[i].what, what) == 0)
      return warp.meetings[i];
  Meeting& meeting = warp.meetings[warp.count++];
  meeting.lanes.mask = mask;
  meeting.what = what;
  meeting.arrived = 0;
  meeting.token = &warp.tokens[warp.serial++ % warp.tokens.size()];
  return meeting;
}

LIKELY_SWITCHES void Engine::meet(unsigned mask, const char* what, void* mine,
                                  void (*together)(const Lanes&), bool ordered, Site site) {
  Inside inside(*this);
  const int lane = running_ % 32;
  Warp& warp = warps_[running_ / 32];
  inside.thread.what = what;
  inside.thread.site = site;
  Meeting& meeting = join(warp, mask, what, site);
  char* const token = meeting.token;
  if (ordered) {
    go_on_as(inside.thread.fiber);
    before(token);
    go_on_as(fiber_);
  }
  meeting.lanes.of[lane] = mine;
  meeting.arrived |= 1u << lane;
  if (meeting.arrived == mask) {
    if (together)
      together(meeting.lanes);
    meeting = warp.meetings[--warp.count];
    std::array<std::uint16_t, 32> lanes;
    int size = 0;
    for (int i = 0; i < 32; ++i)
      if (mask >> i & 1)
        lanes[size++] = static_cast<std::uint16_t>(running_ / 32 * 32 + i);
    release(lanes.data(), size);
  }
  wait();
  if (ordered) {
    go_on_as(inside.thread.fiber);
    after(token);
    go_on_as(fiber_);
  }
}

void Engine::blame(int thread, const std::string& what) {
  if (fault_.empty())
    fault_ = fmt::format("{}: block {},{},{} thread {}: {}", launch_->name, blockIdx.x, blockIdx.y,
                         blockIdx.z, thread, what);
}

// "threads 0-31 in __syncthreads (a.cu:7), 32-63 in …"
std::string Engine::who_waits() const {
  std::string list;
  for (int first = 0, last = 0; first < count_; first = last + 1) {
    last = first;
    const Thread& thread = threads_[first];
    while (thread.what && last + 1 < count_ && threads_[last + 1].what == thread.what &&
           same(threads_[last + 1].site, thread.site))
      ++last;
    if (thread.what)
      list += fmt::format("{}{}-{} in {} ({})", list.empty() ? "threads " : ", ", first, last,
                          thread.what, text(thread.site));
  }
  return list;
}

// After a fault: what lies on the stacks is forgotten.
LIKELY_SWITCHES void Engine::abandon() {
  ready_count_ = 0;
  idle_.clear();
  for (Stack& stack : stacks_) {
    stack.restart(enter);
    idle_.push_back(&stack);
  }
  for (; fibers_ > 0; --fibers_) {
    Thread& thread = threads_[fibers_ - 1];
    thread.what = nullptr;
    go_on_as(thread.fiber);
    before(&done_[block_ % 2]);
    go_on_as(fiber_);
    destroy(thread.fiber);
  }
}

}  // namespace

void run(const Launch& launch) { engine.run(launch); }
void barrier(Site site) { engine.barrier(site); }
void meet(unsigned mask, const char* what, void* mine, void (*together)(const Lanes&), bool ordered,
          Site site) {
  engine.meet(mask, what, mine, together, ordered, site);
}
int lane() { return static_cast<int>(threadIdx.x) % 32; }

}  // namespace likely::kernels::emulate
