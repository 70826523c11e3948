// Own against vendor on the operands of the first call: results compared, then times.
#include "kernels/fastest.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "kernels/choice.h"

namespace likely::kernels {
namespace {

// One candidate's result and workspace, in memory that no allocator counts.
class Trial {
 public:
  Trial(const Contest& contest, Source source) : contest_(contest), source_(source) {
    result_.reset(std::aligned_alloc(64, (contest.bytes + 64) / 64 * 64));
    workspace_.reset(std::aligned_alloc(64, (contest.workspace(source) + 64) / 64 * 64));
    require<OutOfMemory>(result_ && workspace_, "fastest: no memory left to compare kernels in.");
    if (contest.add)
      std::memcpy(result_.get(), contest.result, contest.bytes);
  }

  void run() { contest_.run(source_, result_.get(), workspace_.get()); }
  const void* result() const { return result_.get(); }

  double seconds() {
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  struct Free {
    void operator()(void* block) const { std::free(block); }
  };
  const Contest& contest_;
  Source source_;
  std::unique_ptr<void, Free> result_, workspace_;
};

Source measure(const Contest& contest) {
  Trial ours(contest, Source::own), theirs(contest, Source::vendor);
  ours.run();
  theirs.run();
  if (!contest.agree(ours.result(), theirs.result()))
    return Source::own;
  double best_ours = ours.seconds(), best_theirs = theirs.seconds();
  for (int turn = 0; turn < 9; ++turn) {  // in turn, so that both meet the same disturbances
    best_ours = std::min(best_ours, ours.seconds());
    best_theirs = std::min(best_theirs, theirs.seconds());
  }
  return best_theirs < best_ours ? Source::vendor : Source::own;
}

}  // namespace

Source winner_of(const Contest& contest) {
  if (!contest.result)
    return remembered_choice(contest.key).value_or(Source::own);
  return fastest(contest.key, [&] { return measure(contest); });
}

}  // namespace likely::kernels
