// Reductions of the CPU against their documented tree, bit for bit.
#include <doctest/doctest.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/reduce.h"
#include "kernels/reduce.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// The tree of kernels/cpu/isa/reduce.h, written as its definition.
float tree(const float* x, std::int64_t n) {
  if (n > 512) {
    std::int64_t m = 512;
    while (2 * m < n)
      m *= 2;
    return tree(x, m) + tree(x + m, n - m);
  }
  float lane[16];
  for (int l = 0; l < 16; ++l) {
    lane[l] = -0.f;
    for (std::int64_t i = l; i < n; i += 16)
      lane[l] += x[i];
  }
  for (int half = 8; half > 0; half /= 2)
    for (int l = 0; l < half; ++l)
      lane[l] += lane[l + half];
  return lane[0];
}

}  // namespace

TEST_CASE("reduce: sums follow the documented tree, whatever the layout" * cpu_only) {
  for (const std::int64_t n : {1, 5, 16, 17, 100, 512, 513, 1536, 2048, 2049, 5000, 70000}) {
    const Tensor x = rough({3, n});
    const float* values = x.data<float>();
    const std::vector<float> expected{tree(values, n), tree(values + n, n),
                                      tree(values + 2 * n, n)};
    CHECK(sum(x, {1}).to_vector<float>() == expected);
    CHECK(sum(x.transpose(), {0}).to_vector<float>() == expected);
    const Tensor columns = contiguous(x.transpose());  // [n, 3]
    CHECK(sum(columns, {0}).to_vector<float>() == expected);
    const Tensor wide = contiguous(columns.unsqueeze(2).expand({n, 3, 50}));  // 150 columns
    if (n <= 5000)
      CHECK(sum(wide, {0}).slice(1, 49, 50).to_vector<float>() == expected);
  }
}

TEST_CASE("reduce: threads change no bit" * cpu_only) {
  for (const Shape& shape : {Shape{1000003}, Shape{200001, 3}, Shape{3000, 300}, Shape{7, 90001}}) {
    const Tensor x = rough(shape);
    for (const int axis : {0, -1}) {
      const auto sums = [&] { return sum(x, {axis}).to_vector<float>(); };
      CHECK(on_threads(1, sums) == on_threads(2, sums));
    }
    const auto all = [&] { return sum(x).item<float>(); };
    CHECK(on_threads(1, all) == tree(x.data<float>(), x.numel()));
    CHECK(on_threads(2, all) == tree(x.data<float>(), x.numel()));
  }
}

TEST_CASE("reduce: instruction sets change no bit" * cpu_only) {
  if (!cpu_has(Isa::v4))
    return;
  const Tensor x = rough({4100, 5}), y = rough({4100, 5}, DType::f64),
               z = rough({4100, 5}, DType::bf16);
  const auto same = [](const auto& v3, const auto& v4, const auto* from, auto zero) {
    for (const bool max : {false, true})
      for (const std::int64_t columns : {1, 3, 5}) {
        decltype(zero) a[5], b[5];
        const std::int64_t stride = columns == 1 ? 1 : 5;
        v3.reduce(max, from, 1, 4100, stride, columns, a);
        v4.reduce(max, from, 1, 4100, stride, columns, b);
        CHECK(std::equal(a, a + columns, b));
      }
  };
  same(isa_v3::reduce_table.f32, isa_v4::reduce_table.f32, x.data<float>(), 0.f);
  same(isa_v3::reduce_table.f64, isa_v4::reduce_table.f64, y.data<double>(), 0.);
  same(isa_v3::reduce_table.bf16, isa_v4::reduce_table.bf16,
       reinterpret_cast<const std::uint16_t*>(z.data<bf16>()), 0.f);
}
