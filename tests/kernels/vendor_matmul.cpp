// Products by vendor libraries against f64, in the shapes and layouts that ours are tested in.
#include <doctest/doctest.h>

#include "kernels/choice.h"
#include "kernels/matmul.h"
#include "kernels/module.h"
#include "tensor/allocator.h"
#include "tests/device.h"
#include "tests/kernels/matmul_problems.h"
#include "tests/kernels/vendor.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// Terms of sums that a GPU divides among blocks.
const std::int64_t long_sum = on_cuda() ? 8192 : 1024;

// a b, checked; returns whether the vendor served it.
bool check_product(const Precision& precision, const Tensor& a, const Tensor& b,
                   const Epilogue& epilogue = {}, const Into& into = {}) {
  const Tensor bias = epilogue.bias.defined() ? wide(epilogue.bias) : Tensor();
  const auto start = [&](auto read) {
    return Into{into.add ? read(into.out) : Tensor(), into.add};
  };
  const Tensor expected =
      matmul(wide(a), wide(b), {bias, epilogue.activation, epilogue.slope}, start(wide));
  const Tensor terms = matmul(magnitude(a), magnitude(b), {}, start(magnitude));
  choose_products(precision.products);
  const LaunchLog log;
  const Tensor y = matmul(a, b, epilogue, into);
  choose_products(Products::f32);
  const bool served = by_vendor(log);  // now: the check launches too
  INFO(std::string(log.launches().back().kernel));
  CHECK(excess(precision, y, expected, terms, a.size(-1)) < 1);
  return served;
}

// Calls f(precision, add) for each way to compute that the device has, with sums that start anew
// and that are added to.
template <class F>
void for_each_sum(F f) {
  for (const Precision& precision : precisions)
    for (const bool add : {false, true})
      attempt([&] {
        INFO(precision.name << (add ? " add" : ""));
        if (precision.products != Products::tf32 || on_cuda())
          f(precision, add);
      });
}

}  // namespace

TEST_CASE("vendor matmul: agrees with f64, whatever shape, layout, type and epilogue") {
  const ByVendor vendor("matmul");
  if (!vendor.there())
    return;
  std::vector<MatmulSizes> sizes(std::begin(odd_sizes), std::end(odd_sizes));
  if (on_cuda())
    sizes.insert(sizes.end(), {{128, 500, 784}, {256, 256, 256}, {64, 64, 2048}});
  for (const Precision& precision : precisions) {
    if (precision.products == Products::tf32 && !on_cuda())
      continue;
    int turn = 0, served = 0;
    for (const auto& [m, n, k] : sizes)
      for (const Layout left : {Layout::rows, Layout::columns, Layout::strided})
        for (const Layout right : {Layout::rows, Layout::columns, Layout::strided})
          attempt([&, m = m, n = n, k = k] {
            const bool add = turn % 2, biased = turn % 3;
            const auto activation = static_cast<Activation>(turn % 7 % 6);
            ++turn;
            INFO(precision.name << " " << m << " x " << n << " x " << k << ", layouts "
                                << static_cast<int>(left) << " " << static_cast<int>(right)
                                << (add ? ", add" : "") << (biased ? ", bias" : "")
                                << ", activation " << static_cast<int>(activation));
            const Tensor a = laid_out(m, k, left, precision.dtype, 1);
            const Tensor b = laid_out(k, n, right, precision.dtype, 2);
            const Tensor bias = rough({n}, precision.dtype, 4);
            const Tensor start = rough({m, n}, precision.dtype, 3);
            served += check_product(precision, a, b, {biased ? bias : Tensor(), activation, 0.25f},
                                    {add ? start : Tensor(), add});
          });
    INFO(precision.name);
    MESSAGE(precision.name, ": the vendor served ", served, " of ", turn);
    CHECK((vendor_multiplies(precision) ? served * 9 > turn : served == 0));
  }
}

TEST_CASE(
    "vendor matmul: batches, shared operands, rows with gaps, and addresses of single elements") {
  const ByVendor vendor("matmul");
  if (!vendor.there())
    return;
  for (const Precision& precision : precisions) {
    if (precision.products == Products::tf32 && !on_cuda())
      continue;
    const auto x = [&](const Shape& shape, std::uint32_t seed) {
      return rough(shape, precision.dtype, seed);
    };
    const auto behind = [&](const Shape& shape, std::uint32_t seed) {  // the next element's address
      return x({shape.numel() + 1}, seed).slice(0, 1, shape.numel() + 1).reshape(shape);
    };
    const auto product = [&](const std::string& name, const Tensor& a, const Tensor& b,
                             const Into& into = {}) {
      INFO(precision.name << ", " << name);
      attempt([&] { check_product(precision, a, b, {}, into); });
    };
    product("batch", x({5, 20, 30}, 1), x({5, 30, 40}, 2));
    product("batch of transposed", x({5, 30, 20}, 1).transpose(), x({5, 40, 30}, 2).transpose());
    product("one right factor", x({5, 30, 20}, 1).transpose(), x({30, 40}, 2));
    product("one left factor", x({1, 20, 30}, 1), x({5, 30, 40}, 2));
    product("two leading axes", x({3, 1, 20, 30}, 1), x({3, 4, 30, 40}, 2));
    product("a row", x({1, 300}, 1), x({300, 400}, 2));
    product("a column", x({400, 300}, 1), x({300, 1}, 2));
    product("a number", x({1, 3000}, 1), x({3000, 1}, 2));
    product("an outer product", x({300, 1}, 1), x({1, 400}, 2));
    product("unaligned", behind({64, 64}, 1), behind({64, 64}, 2));
    product("unaligned odd", behind({33, 65}, 1), behind({65, 31}, 2));
    Tensor all = x({20, 50}, 3);
    const std::vector<double> before = to_doubles(wide(all));
    product("rows with gaps", x({18, 30}, 1), x({30, 37}, 2),
            {all.slice(0, 1, 19).slice(1, 3, 40), true});
    const std::vector<double> after = to_doubles(wide(all));
    int changed = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      const std::size_t row = i / 50, column = i % 50;
      changed += before[i] != after[i] && (row < 1 || row >= 19 || column < 3 || column >= 40);
    }
    INFO(precision.name);
    CHECK(changed == 0);
  }
}

TEST_CASE(
    "vendor matmul: the same product gives the same bits, also where few outputs have long sums") {
  const ByVendor vendor("matmul");
  if (!vendor.there())
    return;
  for_each_sum([&](const Precision& precision, bool add) {
    const Tensor a = rough({96, long_sum}, precision.dtype, 1);
    const Tensor b = rough({long_sum, 64}, precision.dtype, 2);
    const auto product = [&] {
      const Tensor start = add ? rough({96, 64}, precision.dtype, 3) : Tensor();
      choose_products(precision.products);
      return to_doubles(wide(matmul(a, b, {}, {start, add})));
    };
    const std::vector<double> first = product();
    for (int i = 0; i < 5; ++i)
      CHECK((product() == first));
  });
}

TEST_CASE("vendor matmul: meta allocates and logs what the device does") {
  const ByVendor vendor("matmul");
  if (!vendor.there())
    return;
  Allocator &real = allocator_of(device_under_test()), &meta = allocator_of(Device::meta);
  const Tensor a = rough({96, long_sum}), b = rough({long_sum, 64}, DType::f32, 2);
  const auto nothing = [](const Tensor& like) {
    return Tensor::empty(like.shape(), like.dtype(), Device::meta);
  };
  const Tensor meta_a = nothing(a), meta_b = nothing(b);
  real.reset_peaks();
  meta.reset_peaks();
  const std::size_t real_before = real.counters().in_use, meta_before = meta.counters().in_use;
  const LaunchLog log;
  const Tensor y = matmul(a, b), z = matmul(meta_a, meta_b);
  CHECK(std::string(log.launches().at(0).kernel) == log.launches().at(1).kernel);
  CHECK(meta.counters().peak_in_use - meta_before == real.counters().peak_in_use - real_before);
}

TEST_CASE("vendor matmul: fastest measures on the device, agrees, and remembers with its name") {
  const ByVendor vendor("matmul", "fastest");
  if (!vendor.there())
    return;
  for_each_sum([&](const Precision& precision, bool add) {
    const bool measured = [&] {
      const ByVendor alone("matmul");
      return vendor_multiplies(precision);
    }();
    choose_kernels("matmul=fastest", device_under_test());
    const Tensor a = rough({130, 260}, precision.dtype), b = rough({260, 90}, precision.dtype);
    const Tensor start = add ? rough({130, 90}, precision.dtype, 3) : Tensor();
    check_product(precision, a, b, {}, {start, add});
    const std::string key =
        fmt::format("matmul {} 1x130x90x260 rows rows{} activation 0{} {}, {}: ", precision.dtype,
                    add ? " add" : "", precision.products == Products::tf32 ? " tf32" : "",
                    on_cuda() ? "on " + find_gpu().name : fmt::format("threads {}", threads()),
                    vendor_version("matmul", device_under_test()));
    INFO(remembered_choices());
    INFO(key);
    CHECK((remembered_choices().find(key) != std::string::npos) == measured);
  });
  MESSAGE(remembered_choices());
}

TEST_CASE("vendor matmul: a module that is open serves no emulated device" *
          doctest::skip(tested_device() != "cuda")) {
  const Device device = device_under_test();
  if (opened_cuda() != Cuda::emulated)
    return;
  CHECK(message([&] { choose_kernels("matmul=vendor", device); }) ==
        "--kernels: matmul through cuBLASLt 13 (libcublasLt.so.13) is not available: cuda is "
        "emulated by the CPU. Take a machine with a GPU, or leave matmul to own.");
  open_module("liblikely_cublaslt.so", "libcublasLt.so.13");
  const OwnAgain after;
  choose_kernels("matmul=fastest");  // the choice that asks whom it may measure
  const LaunchLog log;
  matmul(rough({8, 8}), rough({8, 8}));
  CHECK(!by_vendor(log));
}
