// Own against vendor on the operands of the first call: results compared, then times.
#include "kernels/fastest.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/choice.h"
#include "kernels/convert.h"
#include "kernels/gpu.h"
#include "kernels/parallel.h"
#include "kernels/variant.h"

namespace likely::kernels {
namespace {

// One candidate's result and workspace, in memory that no allocator counts.
class Trial {
 public:
  Trial(const Contest& contest, Source source)
      : contest_(contest),
        source_(source),
        bytes_(static_cast<std::size_t>(contest.elements) * size_of(contest.dtype)),
        result_(bytes_),
        workspace_(contest.workspace(source)) {
    const std::vector<std::byte> zeros(contest.add ? 0 : bytes_);  // gaps between rows are equal
    result_.copy(result_.block, contest.add ? contest.result : zeros.data(), bytes_);
  }

  void run() { contest_.run(source_, result_.block, workspace_.block); }

  std::vector<std::byte> result() const {
    std::vector<std::byte> here(bytes_);
    result_.copy(here.data(), result_.block, bytes_);
    return here;
  }

  double seconds() {
    const int runs = result_.device.kind == Device::cpu ? 1 : 20;  // a GPU takes time to be told
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < runs; ++i)
      run();
    std::byte last;
    result_.copy(&last, result_.block, 1);  // a GPU works behind
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / runs;
  }

 private:
  struct Block {
    explicit Block(std::size_t bytes)
        : size(bytes + 64), block(memory_of(device).allocate(device.index, size)) {
      require<OutOfMemory>(block, "fastest: no memory left to compare kernels in.");
    }
    Block(const Block&) = delete;
    ~Block() { memory_of(device).release(device.index, block, size); }
    void copy(void* to, const void* from, std::size_t bytes) const {
      memory_of(device).copy(device.index, to, from, bytes);
    }
    Device device = current_device();
    std::size_t size;
    void* block;
  };
  const Contest& contest_;
  Source source_;
  std::size_t bytes_;
  Block result_, workspace_;
};

// Rounding errors of sums of many terms grow like the root of their number, in units of the largest
// sums; some more for rounded operands, bias, activation and the final rounding.
template <class T>
bool agree(const Contest& contest, const void* own, const void* vendor) {
  const auto at = [](const void* values, std::int64_t i) {
    return static_cast<double>(static_cast<Computed<T>>(static_cast<const T*>(values)[i]));
  };
  const double sum_unit = std::is_same_v<T, double> ? 0x1p-53 : 0x1p-24;
  const double unit = std::is_same_v<T, bf16> ? 0x1p-8 : contest.tf32 ? 0x1p-10 : sum_unit;
  double largest = 0, worst = 0;
  for (std::int64_t i = 0; i < contest.elements; ++i) {
    const double x = at(own, i), y = at(vendor, i);
    if (std::isfinite(x))
      largest = std::max(largest, std::fabs(x));
    if (x == y || (std::isnan(x) && std::isnan(y)))
      continue;
    if (!std::isfinite(x) || !std::isfinite(y))
      return false;
    worst = std::max(worst, std::fabs(x - y));
  }
  const double growth = std::sqrt(static_cast<double>(contest.terms)) * sum_unit;
  return worst <= 16 * (growth + unit) * largest;
}

bool agree(const Contest& contest, const Trial& own, const Trial& vendor) {
  const std::vector<std::byte> x = own.result(), y = vendor.result();
  bool found = false;
  with_floating(contest.dtype,
                [&]<class T>(Type<T>) { found = agree<T>(contest, x.data(), y.data()); });
  return found;
}

Source measure(const Contest& contest) {
  Trial ours(contest, Source::own), theirs(contest, Source::vendor);
  ours.run();
  try {
    theirs.run();
  } catch (const Unproven&) {
    return Source::own;
  }
  if (!agree(contest, ours, theirs))
    return Source::own;
  double best_ours = ours.seconds(), best_theirs = theirs.seconds();
  for (int turn = 0; turn < 9; ++turn) {  // in turn, so that both meet the same disturbances
    best_ours = std::min(best_ours, ours.seconds());
    best_theirs = std::min(best_theirs, theirs.seconds());
  }
  return best_theirs < best_ours ? Source::vendor : Source::own;
}

std::string where(const char* family) {
  const Device device = served(current_device());
  return fmt::format("{}, {}",
                     device.kind == Device::cpu ? fmt::format("threads {}", threads())
                                                : "on " + find_gpu(device.index).name,
                     vendor_version(family, device));
}

}  // namespace

Source winner_of(const Contest& contest) {
  const std::string key =
      fmt::format("{}{} {}", contest.key, contest.tf32 ? " tf32" : "", where(contest.family));
  if (!contest.result)
    return remembered_choice(key).value_or(Source::own);
  return fastest(key, [&] { return measure(contest); });
}

}  // namespace likely::kernels
