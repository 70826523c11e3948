// Own against the vendor's plans on the operands of the first call: results compared, then times.
#include "kernels/fastest.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <memory>
#include <vector>

#include "kernels/alignment.h"
#include "kernels/convert.h"
#include "kernels/gpu.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

// One candidate's results and workspace, in memory that no allocator counts.
class Trial {
 public:
  Trial(const Contest& contest, Source source, int plan)
      : contest_(contest),
        source_(source),
        plan_(plan),
        workspace_(contest.workspace(source, plan)) {
    for (const Result& result : contest.results) {
      const std::size_t bytes = bytes_of(result);
      const Block& block = results_.emplace_back(bytes);
      const std::vector<std::byte> zeros(contest.add ? 0 : bytes);  // gaps between rows are equal
      // Aligned as the result is, which plans may depend on.
      std::byte* const address = static_cast<std::byte*>(block.start) +
                                 reinterpret_cast<std::uintptr_t>(result.address) % 16;
      block.copy(address, contest.add ? result.address : zeros.data(), bytes);
      addresses_.push_back(address);
    }
  }

  int plan() const { return plan_; }

  void run() { contest_.run(source_, plan_, addresses_, workspace_.start); }

  std::vector<std::byte> result(std::size_t index) const {
    std::vector<std::byte> here(bytes_of(contest_.results[index]));
    results_[index].copy(here.data(), addresses_[index], here.size());
    return here;
  }

  // Of one run. On a GPU of several, a few milliseconds: it takes time to be told.
  double seconds() {
    if (runs_ == 0)
      runs_ = workspace_.device.kind == Device::cpu
                  ? 1
                  : static_cast<int>(std::clamp(4e-3 / seconds_of(1), 1.0, 20.0));
    return seconds_of(runs_);
  }

 private:
  struct Block {
    explicit Block(std::size_t bytes)
        : size(bytes + 64), start(memory_of(device).allocate(device.index, size)) {
      require<OutOfMemory>(start, "fastest: no memory left to compare kernels in.");
    }
    Block(const Block&) = delete;
    ~Block() { memory_of(device).release(device.index, start, size); }
    void copy(void* to, const void* from, std::size_t bytes) const {
      memory_of(device).copy(device.index, to, from, bytes);
    }
    Device device = current_device();
    std::size_t size;
    void* start;
  };

  static std::size_t bytes_of(const Result& result) {
    return static_cast<std::size_t>(result.elements) * size_of(result.dtype);
  }

  double seconds_of(int runs) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < runs; ++i)
      run();
    std::byte last;
    workspace_.copy(&last, addresses_[0], 1);  // a GPU works behind
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / runs;
  }

  const Contest& contest_;
  Source source_;
  int plan_, runs_ = 0;
  Block workspace_;
  std::deque<Block> results_;
  std::vector<void*> addresses_;
};

// Rounding errors of sums of many terms grow like the root of their number, in units of the largest
// sums; some more for rounded operands, bias, activation and the final rounding.
template <class T>
bool agree(const Contest& contest, const Result& result, const void* own, const void* vendor) {
  const auto at = [](const void* values, std::int64_t i) {
    return static_cast<double>(static_cast<Computed<T>>(static_cast<const T*>(values)[i]));
  };
  const double sum_unit = contest.dtype == DType::f64 ? 0x1p-53 : 0x1p-24;
  const double unit = contest.dtype == DType::bf16 ? 0x1p-8 : contest.tf32 ? 0x1p-10 : sum_unit;
  double largest = 0, worst = 0;
  for (std::int64_t i = 0; i < result.elements; ++i) {
    const double x = at(own, i), y = at(vendor, i);
    if (std::isfinite(x))
      largest = std::max(largest, std::fabs(x));
    if (x == y || (std::isnan(x) && std::isnan(y)))
      continue;
    if (!std::isfinite(x) || !std::isfinite(y))
      return false;
    worst = std::max(worst, std::fabs(x - y));
  }
  const double growth = std::sqrt(static_cast<double>(result.terms)) * sum_unit;
  return worst <= 16 * (growth + unit) * largest;
}

bool agree(const Contest& contest, const Trial& own, const Trial& vendor) {
  bool all = true;
  for (std::size_t i = 0; i < contest.results.size(); ++i) {
    const std::vector<std::byte> x = own.result(i), y = vendor.result(i);
    with_floating(contest.results[i].dtype, [&]<class T>(Type<T>) {
      all = all && agree<T>(contest, contest.results[i], x.data(), y.data());
    });
  }
  return all;
}

double best_of(Trial& trial, int turns) {
  double best = HUGE_VAL;
  for (int turn = 0; turn < turns; ++turn)
    best = std::min(best, trial.seconds());
  return best;
}

// The fastest of the vendor's plans whose results agree; null where there is none. One that fails
// is passed over.
std::unique_ptr<Trial> best_plan(const Contest& contest, const Trial& ours) {
  std::unique_ptr<Trial> best;
  double seconds = HUGE_VAL;
  for (int plan = 0; plan < most_plans && contest.serves(plan); ++plan)
    try {
      auto trial = std::make_unique<Trial>(contest, Source::vendor, plan);
      trial->run();
      if (!agree(contest, ours, *trial))
        continue;
      if (const double took = best_of(*trial, 3); took < seconds) {
        seconds = took;
        best = std::move(trial);
      }
    } catch (const Error&) {
    }
  return best;
}

Winner measure(const Contest& contest) {
  Trial ours(contest, Source::own, 0);
  ours.run();
  const std::unique_ptr<Trial> theirs = best_plan(contest, ours);
  if (!theirs)
    return {Source::own, -1};
  double best_ours = HUGE_VAL, best_theirs = HUGE_VAL;
  for (int turn = 0; turn < 10; ++turn) {  // in turn, so that both meet the same disturbances
    best_ours = std::min(best_ours, ours.seconds());
    best_theirs = std::min(best_theirs, theirs->seconds());
  }
  return {best_theirs < best_ours ? Source::vendor : Source::own, theirs->plan()};
}

std::string where(const char* family) {
  const Device device = served(current_device());
  return fmt::format("{}, {}",
                     device.kind == Device::cpu ? fmt::format("threads {}", threads())
                                                : "on " + find_gpu(device.index).name,
                     vendor_version(family, device));
}

}  // namespace

Winner winner_of(const Contest& contest) {
  const std::string key =
      fmt::format("{}{} {}", contest.key, contest.tf32 ? " tf32" : "", where(contest.family));
  if (!contest.results[0].address)
    return remembered_choice(key).value_or(Winner{Source::own, 0});
  return fastest(key, [&] { return measure(contest); });
}

std::string alignments(std::initializer_list<const void*> addresses) {
  std::string text;
  bool all = true;
  for (const void* address : addresses) {
    all = all && alignment(address) == 16;
    text += fmt::format(" {}", alignment(address));
  }
  return all ? "" : " aligned to" + text;
}

}  // namespace likely::kernels
