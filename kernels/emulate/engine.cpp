// The engine: runs the blocks of a launch one after the other, and the threads of a block one at a
// time. A stack takes thread after thread from those not yet started; when a thread must wait, its
// stack is parked, and another goes on with what is ready.
#include <numeric>
#include <utility>

#include "kernels/emulate/block.h"
#include "kernels/emulate/threads.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace likely::kernels::emulate {

Engine& engine = *new Engine;  // memory may be given back after static objects are gone

LIKELY_SWITCHES void Engine::enter() { engine.work(); }

LIKELY_SWITCHES void Engine::run(const Launch& launch) {
  launch_ = &launch;
  count_ = launch.threads;
  gridDim = launch.blocks;
  blockDim = dim3(static_cast<unsigned>(count_));
  order_.begin();
  begin_launch(launch.shared_memory);
  for (; fibers_ < count_; ++fibers_)
    threads_[fibers_].fiber = make_fiber(fibers_);
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

void Engine::blame(int thread, const std::string& what) {
  if (fault_.empty())
    fault_ = fmt::format("{}: block {},{},{} thread {}: {}", launch_->name, blockIdx.x, blockIdx.y,
                         blockIdx.z, thread, what);
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

void run(const Launch& launch) { engine.run(launch); }

}  // namespace likely::kernels::emulate
