// Proofs: a case run on a device, three times, and once on the CPU in f64.
#include "kernels/variant.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/copy.h"

namespace likely::kernels {
namespace {

std::vector<const Variant*>& registered() {
  static std::vector<const Variant*> variants;
  return variants;
}

Tensors results_of(const Variant& variant, const Proof& proof, DType dtype, Device device) {
  Inputs inputs(1, variant.dtype(), dtype, device);
  Tensors results = proof.run(inputs);
  for (Tensor& result : results)
    result = contiguous(result).to(Device::cpu);
  return results;
}

bool same_bits(const Tensors& a, const Tensors& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].bytes() > 0 && std::memcmp(a[i].raw(), b[i].raw(), a[i].bytes()) != 0)
      return false;
  return true;
}

// Relative to the largest of the reference; infinite where one is finite and the other is not.
double error_between(const Tensor& result, const Tensor& reference) {
  require(result.shape() == reference.shape(), "proof: the result is {}, the reference {}.",
          result.shape(), reference.shape());
  const std::vector<double> a = to_doubles(result), b = to_doubles(reference);
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    if (same || !std::isfinite(a[i]) || !std::isfinite(b[i])) {
      worst = same ? worst : HUGE_VAL;
      largest = std::isfinite(b[i]) ? std::max(largest, std::fabs(b[i])) : largest;
      continue;
    }
    worst = std::max(worst, std::fabs(a[i] - b[i]));
    largest = std::max(largest, std::fabs(b[i]));
  }
  return worst == 0 ? 0 : worst / largest;
}

}  // namespace

Tensor Inputs::of(const Shape& shape, const std::vector<double>& values) {
  return cast(cast(Tensor::of(shape, values), rounded_), dtype_).to(device_);
}

Tensor Inputs::normal(const Shape& shape) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values)
    value = numbers_.normal();
  return of(shape, values);
}

Tensor Inputs::uniform(const Shape& shape, double low, double high) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values)
    value = low + (high - low) * numbers_.uniform();
  return of(shape, values);
}

Tensor Inputs::integers(const Shape& shape, std::int64_t below) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(shape.numel()));
  for (std::int64_t& value : values)
    value = static_cast<std::int64_t>(numbers_.uniform() * static_cast<double>(below));
  return Tensor::of(shape, values, device_);
}

Variant::Variant(const char* family, const char* name, DType dtype, std::vector<Proof> proofs)
    : family_(family), name_(name), dtype_(dtype), proofs_(std::move(proofs)) {
  registered().push_back(this);
}

std::string Variant::name() const { return fmt::format("{}/{}/{}", family_, name_, dtype_); }

const std::vector<const Variant*>& all_variants() { return registered(); }

Proven prove(const Variant& variant, const Proof& proof, Device device) {
  Proven proven;
  try {
    const std::uint64_t before = variant.launches();
    const Tensors results = results_of(variant, proof, variant.dtype(), device);
    proven.launched = variant.launches() > before;
    for (int again = 0; again < 2; ++again)
      proven.same_bits = proven.same_bits &&
                         same_bits(results, results_of(variant, proof, variant.dtype(), device));
    const DType exact = is_floating(variant.dtype()) ? DType::f64 : variant.dtype();
    const Tensors references = results_of(variant, proof, exact, Device::cpu);
    for (std::size_t i = 0; i < results.size(); ++i)
      proven.error = std::max(proven.error, error_between(results[i], references[i]));
  } catch (const std::exception& error) {
    proven.problem = error.what();
  }
  return proven;
}

}  // namespace likely::kernels
