// What the tests of the emulator share: memory of the device, kernels in every order, and tests
// that run in a process of their own because they end it.
#pragma once
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kernels/cuda.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/launch.h"

namespace likely::kernels {

// The name under which the kernels of a test are launched.
inline const Variant& tried() {
  static const Variant variant("test", "kernel", DType::f32,
                               Proof{"none", 0, [](Inputs&) { return Tensors{}; }});
  return variant;
}

inline void wait() { cuda::check(cudaStreamSynchronize(cuda::stream()), "test"); }

// Values on the device.
template <class T>
class Values {
 public:
  explicit Values(const std::vector<T>& values) : size_(values.size()) {
    cuda::check(cudaMalloc(&begin_, size_ * sizeof(T)), "test");
    cuda::check(cudaMemcpyAsync(begin_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice,
                                cuda::stream()),
                "test");
  }
  explicit Values(std::size_t size) : Values(std::vector<T>(size)) {}
  Values(const Values&) = delete;
  ~Values() { cudaFree(begin_); }

  T* begin() const { return begin_; }
  std::vector<T> read() const {
    std::vector<T> values(size_);
    cuda::check(cudaMemcpyAsync(values.data(), begin_, size_ * sizeof(T), cudaMemcpyDeviceToHost,
                                cuda::stream()),
                "test");
    return values;
  }

 private:
  T* begin_ = nullptr;
  std::size_t size_;
};

// What the device reports of what f launches; empty where all is well.
template <class F>
std::string fault_of(F f) {
  f();
  const cudaError_t status = cudaStreamSynchronize(cuda::stream());
  return status == cudaSuccess ? "" : cudaGetErrorString(status);
}

// How kernels run is as before when this goes.
class Settings {
 public:
  Settings() : before_(emulation()) {}
  ~Settings() { emulation() = before_; }
  Settings(const Settings&) = delete;

 private:
  Emulation before_;
};

// f's result under every order of blocks and threads, with copies early and late.
template <class F>
auto in_all_orders(F f) {
  const Settings settings;
  std::vector<decltype(f())> results;
  for (const auto copies : {Emulation::Copies::late, Emulation::Copies::early})
    for (const char* order : {"forward", "reverse", "random=1", "random=2", "random=3"}) {
      emulation() = emulation_from(order);
      emulation().copies = copies;
      results.push_back(f());
    }
  return results;
}
template <class F>
bool always(F holds) {
  const auto results = in_all_orders([&] { return int{holds()}; });
  return std::count(results.begin(), results.end(), 0) == 0;
}

enum class Sanitizer { none, address, thread };
#if defined(__SANITIZE_ADDRESS__)
constexpr Sanitizer sanitizer = Sanitizer::address;
#elif defined(__SANITIZE_THREAD__)
constexpr Sanitizer sanitizer = Sanitizer::thread;
#else
constexpr Sanitizer sanitizer = Sanitizer::none;
#endif

// What this program prints when it runs one test that is skipped otherwise, and how it ends.
struct Child {
  int status;
  std::string output;
  bool says(const char* words) const { return output.find(words) != std::string::npos; }
};
Child child(const std::string& test);

// Whether ThreadSanitizer reports a race in `kernel` when that test runs.
inline bool races(const std::string& test, const char* kernel) {
  const Child result = child(test);
  INFO(result.output);
  CHECK(result.status != 0);
  return result.says("ThreadSanitizer: data race") && result.says(kernel);
}

}  // namespace likely::kernels
