#include "zoo/run/finite_checkpoint.h"

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"

namespace likely {
namespace {

std::int64_t first_bad(const Tensor& x) {
  const auto found = [&](const auto* begin) {
    const auto* const end = begin + x.numel();
    return std::find_if_not(begin, end, [](auto value) { return std::isfinite(value); }) - begin;
  };
  return x.dtype() == DType::f64 ? found(x.data<double>()) : found(x.data<float>());
}

}  // namespace

std::string first_not_finite(const Checkpoint& checkpoint) {
  for (const auto& [prefix, tensors] : {std::pair("", &checkpoint.model),
                                        {"the average of ", &checkpoint.average},
                                        {"", &checkpoint.state}})
    for (const auto& [name, tensor] : *tensors) {
      if (!is_floating(tensor.dtype()) || tensor.is_meta())
        continue;
      const Tensor here = kernels::contiguous(tensor).to(Device::cpu);
      const Tensor x = here.dtype() == DType::bf16 ? kernels::cast(here, DType::f32) : here;
      if (const std::int64_t at = first_bad(x); at < x.numel())
        return fmt::format("{}{} is {} at {} of its {} elements", prefix, name,
                           kernels::to_doubles(x)[static_cast<std::size_t>(at)], at, x.numel());
    }
  return "";
}

}  // namespace likely
