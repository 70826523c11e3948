// What the tests of vendor libraries share: on the CPU, on a GPU, and not where cuda is emulated.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/choice.h"
#include "kernels/matmul.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

namespace likely::kernels {

struct OwnAgain {
  ~OwnAgain() {
    choose_kernels("own");
    choose_products(Products::f32);
  }
};

// One family by the vendor while it lives.
class ByVendor {
 public:
  explicit ByVendor(const std::string& family, const char* choice = "vendor") {
    for (const VendorLibrary& library : vendor_libraries(device_under_test()))
      if (library.family == family)
        problem_ = library.problem;
    if (there())
      choose_kernels(family + "=" + choice, device_under_test());
    else
      MESSAGE("skipped: ", problem_);
  }
  bool there() const { return problem_.empty(); }

 private:
  std::string problem_ = "this device has no vendor library for it";
  OwnAgain after_;
};

// How operands are read: f64, and what an operand's rounding does to a product, in units of it.
struct Precision {
  std::string name;
  DType dtype;
  Products products;
  double rounding, sum_unit, unit;
};
inline const Precision precisions[] = {
    {"f32", DType::f32, Products::f32, 0, 0x1p-24, 0x1p-24},
    {"tf32", DType::f32, Products::tf32, 0x1p-9, 0x1p-24, 0x1p-24},
    {"bf16", DType::bf16, Products::f32, 0, 0x1p-24, 0x1p-8},
    {"f64", DType::f64, Products::f32, 0, 0x1p-53, 0x1p-53}};

inline Tensor wide(const Tensor& x) { return cast(contiguous(on_cpu(x)), DType::f64); }
inline Tensor magnitude(const Tensor& x) {
  std::vector<double> values = to_doubles(wide(x));
  for (double& value : values)
    value = std::fabs(value);
  return Tensor::of(x.shape(), values);
}

// The largest error of y in units of what rounding does to sums of k terms that are together as
// large as `terms`.
inline double excess(const Precision& precision, const Tensor& y, const Tensor& expected,
                     const Tensor& terms, std::int64_t k) {
  const std::vector<double> is = to_doubles(wide(y)), should = to_doubles(expected),
                            sums = to_doubles(terms);
  const double growth = (4 + 2 * std::sqrt(static_cast<double>(k))) * precision.sum_unit;
  double worst = 0;
  for (std::size_t i = 0; i < is.size(); ++i) {
    const double error =
        std::fabs(is[i] - should[i]) /
        ((growth + precision.rounding) * sums[i] + 8 * precision.unit * (1 + std::fabs(should[i])));
    worst = std::max(worst, std::isfinite(error) ? error : HUGE_VAL);
  }
  return worst;
}

inline bool by_vendor(const LaunchLog& log) {
  const std::string kernel = log.launches().back().kernel;
  return !kernel.ends_with(" own") && !kernel.ends_with(" plain");
}

// Whether `work`, a plain problem, is served by the library that was chosen. What it refuses may
// depend on the machine: oneDNN has nothing in bf16 on a CPU without AVX-512.
template <class F>
bool vendor_serves(const Precision& precision, F work) {
  choose_products(precision.products);
  const LaunchLog log;
  work();
  choose_products(Products::f32);
  return by_vendor(log);
}
inline bool vendor_multiplies(const Precision& precision) {
  const Tensor a = rough({32, 32}, precision.dtype);
  const bool serves = vendor_serves(precision, [&] { matmul(a, a); });
  CHECK((serves || precision.dtype == DType::bf16 || precision.dtype == DType::f64));
  return serves;
}

// Runs f; an error is a failed check, and the next problem is still tried.
template <class F>
void attempt(F f) {
  try {
    f();
  } catch (const std::exception& error) {
    FAIL_CHECK(error.what());
  }
}

}  // namespace likely::kernels
