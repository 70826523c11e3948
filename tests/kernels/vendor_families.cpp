// Attention, batch normalisation and softmax by cuDNN, against f64 on the CPU.
#include <doctest/doctest.h>

#include "kernels/attention.h"
#include "kernels/choice.h"
#include "kernels/copy.h"
#include "kernels/normalise.h"
#include "kernels/softmax.h"
#include "tensor/allocator.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"
#include "tests/kernels/vendor.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// The largest error, relative to the largest of what is expected.
double error_of(const Tensor& is, const Tensor& should) {
  return largest_error(to_doubles(wide(is)), to_doubles(should));
}

std::string served_by(const LaunchLog& log) { return log.launches().back().kernel; }

// The same work on the device and on `meta`: kernels and peak of memory.
template <class F>
void check_meta(const Tensors& inputs, F work) {
  Tensors nothing;
  for (const Tensor& x : inputs)
    nothing.push_back(Tensor::empty(x.shape(), x.dtype(), Device::meta));
  Allocator &real = allocator_of(device_under_test()), &meta = allocator_of(Device::meta);
  real.reset_peaks();
  meta.reset_peaks();
  const std::size_t real_before = real.counters().in_use, meta_before = meta.counters().in_use;
  const LaunchLog log;
  work(inputs);
  work(nothing);
  CHECK(std::string(log.launches().front().kernel) == log.launches().back().kernel);
  CHECK(meta.counters().peak_in_use - meta_before == real.counters().peak_in_use - real_before);
}

}  // namespace

TEST_CASE("vendor attention: bf16 agrees with f64, with the same bits every time") {
  const ByVendor vendor("attention");
  if (!vendor.there())
    return;
  for (const Shape& shape : {Shape{64, 64, 1, 64}, Shape{8, 256, 1, 256}, Shape{3, 100, 2, 24}})
    attempt([&] {
      INFO(fmt::format("{}", shape));
      const Tensor q = rough(shape, DType::bf16, 1), k = rough(shape, DType::bf16, 2),
                   v = rough(shape, DType::bf16, 3), g = rough(shape, DType::bf16, 4);
      const LaunchLog log;
      const Attended y = attention(q, k, v);
      CHECK(served_by(log) == "attention cuDNN");
      const AttentionGradients d = attention_gradients(g, y, q, k, v);
      MESSAGE("gradients of ", fmt::format("{}", shape), " by ", served_by(log));
      const Attended exact = attention(wide(q), wide(k), wide(v));
      const AttentionGradients slopes =
          attention_gradients(wide(g), exact, wide(q), wide(k), wide(v));
      CHECK(error_of(y.out, exact.out) < 2e-2);
      CHECK(error_of(y.log_sum, exact.log_sum) < 1e-3);
      CHECK(error_of(d.q, slopes.q) < 4e-2);
      CHECK(error_of(d.k, slopes.k) < 4e-2);
      CHECK(error_of(d.v, slopes.v) < 4e-2);
      for (int again = 0; again < 3; ++again) {
        const AttentionGradients same = attention_gradients(g, y, q, k, v);
        CHECK((to_doubles(wide(same.q)) == to_doubles(wide(d.q))));
        CHECK((to_doubles(wide(same.k)) == to_doubles(wide(d.k))));
        CHECK((to_doubles(wide(same.v)) == to_doubles(wide(d.v))));
      }
      check_meta({q, k, v}, [](const Tensors& in) { attention(in[0], in[1], in[2]); });
    });
}

TEST_CASE("vendor attention: fastest measures on the device, agrees, and remembers") {
  const ByVendor vendor("attention", "fastest");
  if (!vendor.there())
    return;
  const Shape shape{8, 256, 1, 64};
  const Tensor q = rough(shape, DType::bf16, 1), k = rough(shape, DType::bf16, 2),
               v = rough(shape, DType::bf16, 3), g = rough(shape, DType::bf16, 4);
  const Attended y = attention(q, k, v), exact = attention(wide(q), wide(k), wide(v));
  const AttentionGradients d = attention_gradients(g, y, q, k, v);
  const AttentionGradients slopes = attention_gradients(wide(g), exact, wide(q), wide(k), wide(v));
  CHECK(error_of(y.out, exact.out) < 2e-2);
  CHECK(error_of(d.q, slopes.q) < 4e-2);
  CHECK(error_of(d.k, slopes.k) < 4e-2);
  CHECK(error_of(d.v, slopes.v) < 4e-2);
  MESSAGE(remembered_choices());
  for (const char* what : {"values", "gradients"}) {
    INFO(what);
    const std::string all = remembered_choices();
    const std::size_t line = all.find(fmt::format("attention {} bf16 8x256 by 256 of 1x64", what));
    REQUIRE(line != std::string::npos);
    const std::string choice = all.substr(line, all.find('\n', line) - line);
    CHECK(!choice.ends_with(": own"));  // a plan of cuDNN's has own's result
  }
}

TEST_CASE("vendor attention: asked for by name it refuses f32, and with all others own serves") {
  const ByVendor vendor("attention");
  if (!vendor.there())
    return;
  const Tensor x = rough({2, 16, 1, 16});
  CHECK(message([&] { attention(x, x, x); }) ==
        "attention: the vendor's reads bf16 alone, these are f32. Take --precision bf16, or leave "
        "attention to own.");
  choose_kernels("vendor", device_under_test());
  const LaunchLog log;
  attention(x, x, x);
  CHECK(served_by(log) == "attention");
}

TEST_CASE("vendor normalise: batch normalisation and its gradients agree with f64") {
  const ByVendor vendor("normalise");
  if (!vendor.there())
    return;
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Activation activation : {Activation::none, Activation::relu, Activation::leaky_relu})
      for (const Shape& shape : {Shape{8, 16, 16, 64}, Shape{64, 4, 4, 512}})
        attempt([&] {
          INFO(fmt::format("{} {} activation {}", dtype, shape, static_cast<int>(activation)));
          const Tensor x = rough(shape, dtype, 1), g = rough(shape, dtype, 2);
          const Tensor scale = rough({shape[-1]}, DType::f32, 3),
                       shift = rough({shape[-1]}, DType::f32, 4);
          const Normalise how{1e-5, activation};
          const LaunchLog log;
          const Normalised made = normalised(x, scale, shift, how);
          CHECK(served_by(log) == "batch norm cuDNN");
          const NormaliseGradients d =
              normalise_gradients(g, x, made.y, made.by, scale, shift, how);
          CHECK(served_by(log) == "batch norm cuDNN");
          const Normalised exact = normalised(wide(x), wide(scale), wide(shift), how);
          // The slopes are those of the values that the device has.
          const NormaliseGradients slopes = normalise_gradients(
              wide(g), wide(x), wide(made.y), exact.by, wide(scale), wide(shift), how);
          const double bar = dtype == DType::bf16 ? 2e-2 : 2e-5;
          CHECK(error_of(made.by.mean, exact.by.mean) < 1e-4);
          CHECK(error_of(made.by.variance, exact.by.variance) < 1e-5);
          CHECK(error_of(made.y, exact.y) < bar);
          CHECK(error_of(d.sums.shift, slopes.sums.shift) < bar);
          CHECK(error_of(d.sums.scale, slopes.sums.scale) < bar);
          CHECK(error_of(d.x, slopes.x) < 4 * bar);
          const NormaliseGradients same =
              normalise_gradients(g, x, made.y, made.by, scale, shift, how);
          CHECK((to_doubles(wide(same.x)) == to_doubles(wide(d.x))));
          check_meta({x, scale, shift},
                     [&](const Tensors& in) { normalised(in[0], in[1], in[2], how); });
        });
}

TEST_CASE("vendor normalise: what has no scale or is f64 is left to own") {
  const ByVendor vendor("normalise");
  if (!vendor.there())
    return;
  const LaunchLog log;
  normalised(rough({2, 8, 8, 16}), {}, {});
  CHECK(served_by(log) == "normalise");
  const Tensor one = rough({16}, DType::f64);
  normalised(rough({2, 8, 8, 16}, DType::f64), one, one);
  CHECK(served_by(log) == "normalise");
}

TEST_CASE("vendor softmax: fastest measures on the device, agrees, and remembers") {
  const ByVendor vendor("softmax", "fastest");
  if (!vendor.there())
    return;
  const Tensor x = rough({3000, 1000});
  CHECK(error_of(softmax(x, 1), softmax(wide(x), 1)) < 1e-6);
  const std::string all = remembered_choices();
  const std::size_t line = all.find("softmax f32 3000x1000 on ");
  REQUIRE(line != std::string::npos);
  INFO(all);
  CHECK(!all.substr(line, all.find('\n', line) - line).ends_with(": own"));
}

TEST_CASE("vendor softmax: agrees with f64, and its logarithm") {
  const ByVendor vendor("softmax");
  if (!vendor.there())
    return;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64})
    for (const Shape& shape : {Shape{100, 10}, Shape{3, 1000}, Shape{70000, 3}})
      attempt([&] {
        INFO(fmt::format("{} {}", dtype, shape));
        const Tensor x = rough(shape, dtype);
        const double bar = dtype == DType::bf16 ? 1e-2 : dtype == DType::f32 ? 1e-6 : 1e-13;
        const LaunchLog log;
        const Tensor y = softmax(x, 1), logarithm = log_softmax(x, 1);
        CHECK(served_by(log) == "softmax cuDNN");
        CHECK(error_of(y, softmax(wide(x), 1)) < bar);
        CHECK(error_of(logarithm, log_softmax(wide(x), 1)) < bar);
      });
}
