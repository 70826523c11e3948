// What the tests of the kernels share: tensors on the device under test, an error's message, a
// number of threads.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/copy.h"
#include "kernels/parallel.h"
#include "tensor/random.h"
#include "tests/device.h"

namespace likely::kernels {

inline constexpr float infinity = std::numeric_limits<float>::infinity();

// Tensors on the device under test.
template <class T>
Tensor tensor(const Shape& shape, const std::vector<T>& values) {
  return Tensor::of(shape, values, device_under_test());
}
template <class T>
Tensor scalar(T value) {
  return Tensor::scalar(value, device_under_test());
}
inline Tensor filled(const Shape& shape, double value, DType dtype = DType::f32) {
  return full(shape, value, dtype, device_under_test());
}
inline Tensor unwritten(const Shape& shape, DType dtype = DType::f32) {
  return Tensor::empty(shape, dtype, device_under_test());
}
inline Tensor step_state(const StepState& state) {
  return make_step_state(state, device_under_test());
}

// Values that do not add exactly: of a congruential generator, in (-0.7, 1.3).
inline Tensor rough(const Shape& shape, DType dtype = DType::f32, std::uint32_t seed = 1) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = (seed >> 8) * 0x1p-23 - 0.7;
  }
  return cast(Tensor::of(shape, values), dtype).to(device_under_test());
}

// The same view of the same numbers on the CPU, read without a kernel.
inline Tensor on_cpu(const Tensor& x) {
  const auto elements = static_cast<std::int64_t>(x.storage()->bytes() / size_of(x.dtype()));
  return x.view({elements}, {1}, 0).to(Device::cpu).view(x.shape(), x.strides(), x.offset());
}

// max |y - expected| / (1 + |expected|); NaN where one is NaN
inline double largest_error(const std::vector<double>& y, const std::vector<double>& expected) {
  require(y.size() == expected.size(), "test: {} values where {} are expected.", y.size(),
          expected.size());
  double largest = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double error = std::abs(y[i] - expected[i]) / (1 + std::abs(expected[i]));
    if (std::isnan(error))
      return error;
    largest = std::max(largest, error);
  }
  return largest;
}

template <class F>
std::string message(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// A number of threads while it lives.
class Threads {
 public:
  explicit Threads(int count) : before_(threads()) { set_threads(count); }
  ~Threads() { set_threads(before_); }

 private:
  int before_;
};

// What f returns on so many threads.
template <class F>
auto on_threads(int count, F f) {
  const int before = threads();
  set_threads(count);
  const auto result = f();
  set_threads(before);
  return result;
}

}  // namespace likely::kernels
