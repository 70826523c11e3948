// A variant: one way of a backend to serve a family: a tile, a type, an alignment. A kernel is
// launched under a variant's name, and no variant can be made without a proof case: a small problem
// whose result is compared with the CPU's in f64.
#pragma once
#include <atomic>
#include <concepts>
#include <functional>
#include <string>
#include <vector>

#include "tensor/sequence.h"
#include "tensor/tensor.h"

namespace likely::kernels {

// The inputs of a proof: the same numbers on every device, rounded to the variant's type. For the
// reference they are f64 on the CPU.
class Inputs {
 public:
  Inputs(std::uint64_t seed, DType rounded, DType dtype, Device device)
      : numbers_(seed), rounded_(rounded), dtype_(dtype), device_(device) {}

  Tensor normal(const Shape& shape);
  Tensor uniform(const Shape& shape, double low, double high);
  Tensor integers(const Shape& shape, std::int64_t below);  // i64 in [0, below)
  Tensor of(const Shape& shape, const std::vector<double>& values);

  Device device() const { return device_; }
  DType dtype() const { return dtype_; }

 private:
  Sequence numbers_;
  DType rounded_, dtype_;
  Device device_;
};

struct Proof {
  const char* name;  // "ragged edges"
  double bar;        // on max |result - reference| / max |reference|, for each result
  std::function<Tensors(Inputs&)> run;
  bool must_launch = true;  // false: of a vendor, which may leave the case to other kernels
};

// The bar for results of a few roundings.
constexpr double bar_of(DType dtype) {
  return dtype == DType::f64 ? 1e-12 : dtype == DType::f32 ? 1e-6 : 1e-2;
}

// All but the first element of a flat tensor, seen as `shape`: at the smallest alignment.
inline Tensor one_behind(const Tensor& flat, const Shape& shape) {
  return flat.slice(0, 1, flat.numel()).reshape(shape);
}

class Variant {
 public:
  template <std::same_as<Proof>... More>
  Variant(const char* family, const char* name, DType dtype, Proof first, More... more)
      : Variant(family, name, dtype, std::vector<Proof>{std::move(first), std::move(more)...}) {}
  Variant(const Variant&) = delete;

  std::string name() const;  // "reduce/rows/f32"
  DType dtype() const { return dtype_; }
  const std::vector<Proof>& proofs() const { return proofs_; }
  void launched() const { ++launches_; }
  std::uint64_t launches() const { return launches_; }

  // Whether it may be launched here, which the rules that choose among variants ask: not where it
  // failed a proof (kernels/first_contact.h).
  bool usable() const { return !refusal_.load(); }
  void refuse(const std::string& why) const;  // from now on; where `why` is empty, no longer
  void require_usable() const;                // Unproven

 private:
  Variant(const char* family, const char* name, DType dtype, std::vector<Proof> proofs);

  const char *family_, *name_;
  DType dtype_;
  std::vector<Proof> proofs_;
  mutable std::atomic<std::uint64_t> launches_{0};
  mutable std::atomic<const std::string*> refusal_{nullptr};
};

// A variant that failed its proof is all there is.
struct Unproven : Error {
  using Error::Error;
};

const std::vector<const Variant*>& all_variants();  // of the backends that were opened

}  // namespace likely::kernels
