// Gradients against central differences in f64: along a random direction, with a random cotangent.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "autograd/op.h"

namespace likely {

// The error of one comparison is |a - n| / (|a| + |n| + 1e-3 · scale): a along the tape, n by
// differences, scale the size of gradient or cotangent times that of the direction. So a wrong
// small component still shows.
struct Finding {
  std::string op, case_name;
  Variant variant = Variant::plain;
  int order = 1;
  double error = 0, bar = 0;
  std::string note;  // a reason, or what was thrown
  bool passed() const { return error <= bar; }
};

// All cases of an op in all variants that they do not opt out of, first and second order.
std::vector<Finding> check_gradients(const Op& op, Device device = {}, std::uint64_t seed = 1);

// A function of leaves for the checker.
struct Subject {
  std::vector<Tensor> at;                                // f64 values of the leaves
  std::function<Variable(const Variables& leaves)> run;  // any output shape
  double step = 1e-5;  // of the differences, times a direction of N(0, 1) in every element
};

// The worst error over `directions` random directions (all leaves at once). Where a step would
// carry a value across a kink, that shrinks until both sides have the same activation pattern;
// below 1e-9 it throws. `step` reports it.
struct Comparison {
  double error = 0, step = 0;
};
Comparison compare_first(const Subject& subject, int directions, std::uint64_t seed);
Comparison compare_second(const Subject& subject, int directions, std::uint64_t seed);

// What many checks came to.
class CheckTally {
 public:
  void add(int order, double error, bool passed);
  std::int64_t failed() const { return failed_; }
  // "214 checks passed, 0 failed; worst error 3.1e-09 (first order), 8.8e-08 (second order)"
  std::string line() const;

 private:
  std::int64_t passed_ = 0, failed_ = 0;
  std::optional<double> worst_[2];  // by order
};

}  // namespace likely
