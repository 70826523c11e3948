// `--kernels FAMILY=fastest`: own or vendor for one problem, by measuring on it own and the
// vendor's plans.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/choice.h"

namespace likely::kernels {

constexpr int most_plans = 8;  // of a vendor's that are measured

// What a candidate writes.
struct Result {
  DType dtype;
  std::int64_t elements, terms;  // and the terms of one of its sums
  const void* address;           // null on `meta`
};

// One problem, and what it takes to solve it either way. A plan is that of the vendor's.
struct Contest {
  const char* family;
  std::string key;  // all that may decide beside device and library, as it is remembered
  DType dtype;      // of what is read
  bool tf32, add;   // to what the results hold
  std::vector<Result> results;
  std::function<bool(int plan)> serves{};
  std::function<std::size_t(Source, int plan)> workspace{};  // bytes
  std::function<void(Source, int plan, const std::vector<void*>& results, void* workspace)> run{};
};

// Remembered (choice.h) where it was measured before; own on `meta`. A plan can win only if its
// results agree with own's, up to rounding. Neither results nor the allocator are touched.
Winner winner_of(const Contest& contest);

// The same of a family's problem: its members that are results, and how a backend solves it.
template <class Backend, class Problem, class Workspace, class Run>
Winner winner_of(Contest contest, const Problem& problem, const Backend& own, const Backend& vendor,
                 std::initializer_list<void * Problem::*> results, Workspace workspace, Run run) {
  const auto by = [&](int plan) {
    Problem planned = problem;
    planned.plan = plan;
    return planned;
  };
  const auto backend = [&](Source source) -> const Backend& {
    return source == Source::own ? own : vendor;
  };
  contest.serves = [&](int plan) { return vendor.serves(by(plan)); };
  contest.workspace = [&](Source source, int plan) { return workspace(backend(source), by(plan)); };
  contest.run = [&](Source source, int plan, const std::vector<void*>& to, void* memory) {
    Problem planned = by(plan);
    auto at = to.begin();
    for (void* Problem::*result : results)
      planned.*result = *at++;
    run(backend(source), planned, memory);
  };
  return winner_of(contest);
}

// For a key: nothing where all addresses are aligned to 16 bytes.
std::string alignments(std::initializer_list<const void*> addresses);

}  // namespace likely::kernels
