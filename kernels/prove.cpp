#include "kernels/prove.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/copy.h"
#include "kernels/guards.h"

namespace likely::kernels {
namespace {

// Where element i of a result lies.
std::string place_of(std::size_t i, const Shape& shape, std::size_t result) {
  std::vector<std::int64_t> at(static_cast<std::size_t>(shape.rank()));
  auto rest = static_cast<std::int64_t>(i);
  for (int axis = shape.rank() - 1; axis >= 0; rest /= shape[axis--])
    at[static_cast<std::size_t>(axis)] = rest % shape[axis];
  return fmt::format("[{}] of result {}", fmt::join(at, ", "), result);
}

// The first element that has other bits than in the first run.
void compare_bits(Verdict& verdict, int run, const Tensors& first, const Tensors& now) {
  for (std::size_t i = 0; i < first.size() && verdict.problem.empty(); ++i) {
    const std::size_t size = size_of(first[i].dtype());
    const auto *a = static_cast<const std::byte*>(first[i].raw()),
               *b = static_cast<const std::byte*>(now[i].raw());
    const auto different = static_cast<std::size_t>(
        std::mismatch(a, a + first[i].bytes(), b, b + now[i].bytes()).first - a);
    if (different == first[i].bytes())
      continue;
    verdict.problem = fmt::format("run {} gave other bits than run 1", run);
    const std::size_t element = different / size;
    verdict.where = place_of(element, first[i].shape(), i);
    verdict.value = to_doubles(now[i])[element];
    verdict.expected = to_doubles(first[i])[element];
  }
}

// The error is relative to the largest of the reference; infinite where one is finite and the other
// is not.
void compare(Verdict& verdict, const Tensor& result, const Tensor& reference, std::size_t index) {
  require(result.shape() == reference.shape(), "proof: the result is {}, the reference {}.",
          result.shape(), reference.shape());
  const std::vector<double> a = to_doubles(result), b = to_doubles(reference);
  double largest = 0;
  for (const double expected : b)
    largest = std::isfinite(expected) ? std::max(largest, std::fabs(expected)) : largest;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
      continue;
    const double error =
        std::isfinite(a[i]) && std::isfinite(b[i]) ? std::fabs(a[i] - b[i]) / largest : HUGE_VAL;
    verdict.error = std::max(verdict.error, error);
    if (error <= verdict.bar || !verdict.where.empty())
      continue;
    verdict.where = place_of(i, result.shape(), index);
    verdict.value = a[i];
    verdict.expected = b[i];
  }
}

void carry_out(Verdict& verdict, const Variant& variant, const Proof& proof, Device device,
               int runs) {
  const std::uint64_t before = variant.launches();
  const Tensors results = results_of(variant, proof, variant.dtype(), device);
  if (proof.must_launch && variant.launches() == before)
    verdict.problem = "its case did not launch it";
  for (int run = 2; run <= runs; ++run)
    compare_bits(verdict, run, results, results_of(variant, proof, variant.dtype(), device));
  const DType exact = is_floating(variant.dtype()) ? DType::f64 : variant.dtype();
  const Tensors references = results_of(variant, proof, exact, Device::cpu);
  for (std::size_t i = 0; i < results.size(); ++i)
    compare(verdict, results[i], references[i], i);
}

}  // namespace

Tensors results_of(const Variant& variant, const Proof& proof, DType dtype, Device device) {
  Inputs inputs(1, variant.dtype(), dtype, device);
  Tensors results = proof.run(inputs);
  for (Tensor& result : results)
    result = contiguous(result).to(Device::cpu);
  return results;
}

Verdict prove(const Variant& variant, const Proof& proof, Device device, int runs) {
  Verdict verdict{.kernel = variant.name(), .proof = proof.name, .bar = proof.bar};
  try {
    carry_out(verdict, variant, proof, device, runs);
  } catch (const std::exception& error) {
    verdict.problem = error.what();
  }
  if (const std::string broken = broken_guards(); !broken.empty() && verdict.problem.empty())
    verdict.problem = broken;
  return verdict;
}

std::string describe(const Verdict& verdict) {
  std::string text = fmt::format("{}, {}: ", verdict.kernel, verdict.proof);
  text += verdict.problem;
  if (!verdict.where.empty())
    text += fmt::format("{}{} is {} instead of {}", verdict.problem.empty() ? "" : "; ",
                        verdict.where, verdict.value, verdict.expected);
  return text + fmt::format("; error {:.3g}, bound {:.3g}", verdict.error, verdict.bar);
}

}  // namespace likely::kernels
