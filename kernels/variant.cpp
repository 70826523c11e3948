// The inputs of proofs, and the list of variants.
#include "kernels/variant.h"

#include <deque>
#include <mutex>

#include "kernels/copy.h"

namespace likely::kernels {
namespace {

std::vector<const Variant*>& registered() {
  static std::vector<const Variant*> variants;
  return variants;
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

void Variant::refuse(const std::string& why) const {
  static std::mutex mutex;
  static auto& reasons = *new std::deque<std::string>;  // kept: another thread may be reading one
  const std::lock_guard lock(mutex);
  refusal_ = why.empty() ? nullptr : &reasons.emplace_back(why);
}

void Variant::require_usable() const {
  const std::string* const why = refusal_;
  require<Unproven>(!why,
                    "{}: this kernel failed its proof on this device, and nothing else serves: {}. "
                    "Take --device cpu, or --kernels own for a vendor's path; ./likely doctor "
                    "lists what failed, and "
                    "./likely doctor --prove tries again.",
                    name(), why ? *why : "");
}

}  // namespace likely::kernels
