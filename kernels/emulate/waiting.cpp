// Barriers and meetings: who waits for whom, and what is wrong when nobody comes.
#include <cstring>

#include "kernels/emulate/threads.h"

namespace likely::kernels::emulate {
namespace {

bool same(Site a, Site b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

}  // namespace

// The running thread waits until release() has named it and its turn has come.
LIKELY_SWITCHES void Engine::wait() {
  Stack* const mine = stack_;
  stack_ = next();
  if (stack_ != mine)
    Stack::go(*mine, *stack_);
}

// These threads, in ascending order, are ready to go on.
void Engine::release(std::uint16_t* threads, int count) {
  order_.arrange(threads, count);
  for (int i = 0; i < count; ++i)
    ready_[(ready_first_ + ready_count_++) % most_threads] = threads[i];
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
      list += fmt::format("{}{}-{} in {} ({}:{})", list.empty() ? "threads " : ", ", first, last,
                          thread.what, thread.site.file_name(), thread.site.line());
  }
  return list;
}

void barrier(Site site) { engine.barrier(site); }
void meet(unsigned mask, const char* what, void* mine, void (*together)(const Lanes&), bool ordered,
          Site site) {
  engine.meet(mask, what, mine, together, ordered, site);
}
int lane() { return static_cast<int>(threadIdx.x) % 32; }

}  // namespace likely::kernels::emulate
