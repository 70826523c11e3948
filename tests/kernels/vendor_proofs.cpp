// What vendors' paths have to pass on a GPU, tried with the kernels of the CPU.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/prove.h"
#include "kernels/vendor/proofs.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

struct Path {
  const char* family;
  Proof (*proof)(DType, Products);
  std::vector<DType> types;
};
const Path paths[] = {{"matmul", vendor_products, {DType::f32, DType::f64, DType::bf16}},
                      {"convolution", vendor_convolutions, {DType::f32, DType::f64, DType::bf16}},
                      {"attention", vendor_attention, {DType::bf16}},
                      {"normalise", vendor_normalise, {DType::f32, DType::bf16}},
                      {"softmax", vendor_softmax, {DType::f32, DType::f64, DType::bf16}}};

}  // namespace

TEST_CASE("vendor proofs: what the CPU computes in a path's type passes, with room to spare" *
          cpu_only) {
  for (const Path& path : paths)
    for (const DType type : path.types) {
      static std::deque<Variant> tried;  // registered: they must stay
      const Proof proof = path.proof(type, Products::f32);
      const Verdict verdict =
          prove(tried.emplace_back(path.family, "tried here", type, proof), proof, Device::cpu);
      INFO(describe(verdict));
      CHECK(verdict.passed());
      CHECK((verdict.error > 0 || type == DType::f64));  // whose reference is the same kernel
      CHECK(verdict.error < verdict.bar / 2);
      CHECK(choice_for(path.family) == Choice::own);
    }
}

TEST_CASE("vendor proofs: every result has numbers that an error would show in" * cpu_only) {
  for (const Path& path : paths) {
    Inputs inputs(1, path.types[0], DType::f64, Device::cpu);
    for (const Tensor& result : path.proof(path.types[0], Products::f32).run(inputs)) {
      INFO(path.family << " " << fmt::format("{}", result.shape()));
      const std::vector<double> values = to_doubles(result);
      double largest = 0;
      for (const double value : values)
        largest = std::isfinite(value) ? std::max(largest, std::fabs(value)) : HUGE_VAL;
      CHECK(std::isfinite(largest));
      const auto seen = std::count_if(values.begin(), values.end(), [&](double value) {
        return std::fabs(value) > largest / 100;
      });
      CHECK(2 * seen > result.numel());
    }
  }
}

TEST_CASE("vendor proofs: of a library's paths the one that failed throws by name, no other") {
  static const VendorPaths library{
      "softmax", vendor_softmax, "tried library", {DType::f32, DType::bf16}, "tried library tf32"};
  for (const Variant* variant : all_variants())
    if (variant->name() == "softmax/tried library/bf16")
      variant->refuse("on a tried GPU, [0] of result 0 is 7 instead of 3");
  CHECK(message([] { library.use(DType::bf16); })
            .starts_with("softmax/tried library/bf16: this kernel failed its proof on this device, "
                         "and nothing else serves: on a tried GPU, [0] of result 0 is 7"));
  CHECK(message([] { library.use(DType::f32); }) == "no error");
  CHECK(message([] { library.use(DType::f32, true); }) == "no error");
}
