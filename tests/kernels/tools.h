// What the tests of the kernels share: an error's message, a number of threads, and values that do
// not add exactly.
#pragma once
#include <string>
#include <vector>

#include "kernels/copy.h"
#include "kernels/parallel.h"

namespace likely::kernels {

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

// Of a congruential generator, in (-0.7, 1.3).
inline Tensor rough(const Shape& shape, DType dtype = DType::f32, std::uint32_t seed = 1) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = (seed >> 8) * 0x1p-23 - 0.7;
  }
  return cast(Tensor::of(shape, values), dtype);
}

}  // namespace likely::kernels
