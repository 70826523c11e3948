// What a product does with f32 operands: the same bits on every device, or tf32 where that is
// chosen, and never one for the other.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/device.h"
#include "tests/kernels/matmul_problems.h"
#include "tests/reference/matmul.h"

using namespace likely;
using namespace likely::kernels;

namespace {

class Choose {
 public:
  explicit Choose(Products products) { choose_products(products); }
  ~Choose() { choose_products(Products::f32); }
};

// [m, n], one after the other along the columns or the rows, from an aligned address or the next.
Tensor operand(std::int64_t m, std::int64_t n, bool transposed, bool behind, std::uint32_t seed) {
  const std::int64_t first = behind ? 1 : 0;
  const Tensor x = rough({m * n + first}, DType::f32, seed).slice(0, first, m * n + first);
  return transposed ? x.reshape({n, m}).transpose() : x.reshape({m, n});
}

// Rounded to 10 bits of fraction, ties away from zero.
std::vector<double> tf32(const Tensor& x) {
  std::vector<double> values = to_doubles(on_cpu(x));
  for (double& value : values) {
    int exponent = 0;
    const double fraction = std::frexp(value, &exponent);
    value = std::ldexp(std::round(fraction * 0x1p11), exponent - 11);
  }
  return values;
}

}  // namespace

TEST_CASE("matmul: f32 gives the CPU's bits, whatever tile, layout, alignment and epilogue") {
  int turn = 0;
  for (const auto& [m, n, k] :
       {MatmulSizes{5, 7, 9}, MatmulSizes{1, 784, 50}, MatmulSizes{130, 136, 40},
        MatmulSizes{70, 65, 33}, MatmulSizes{64, 128, 1}, MatmulSizes{900, 1028, 36}})
    for (const bool a_transposed : {false, true})
      for (const bool b_transposed : {false, true})
        for (const bool behind : {false, true}) {
          const Tensor a = operand(m, k, a_transposed, behind, 1);
          const Tensor b = operand(k, n, b_transposed, behind, 2);
          const Tensor start = rough({m, n}, DType::f32, 3), bias = rough({n}, DType::f32, 4);
          const auto activation = static_cast<Activation>(turn % 7 % 6);
          const bool add = turn % 2, biased = turn % 3;
          const Tensor held = on_cpu(rough({m, n}, DType::f32, 3));
          const auto product = [&](const Tensor& a, const Tensor& b, const Tensor& bias,
                                   const Tensor& out) {
            const Epilogue epilogue{biased ? bias : Tensor(), activation};
            return matmul(a, b, epilogue, {add ? out : Tensor(), add}).to_vector<float>();
          };
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          CAPTURE(turn);
          CHECK(product(a, b, bias, start) == product(on_cpu(a), on_cpu(b), on_cpu(bias), held));
          ++turn;
        }
}

TEST_CASE("matmul: f32 keeps a sum of -0, though tiles reach beyond k") {
  for (const std::int64_t k : {5, 8}) {  // by single elements, and by packs
    const std::vector<float> tiny(static_cast<std::size_t>(70 * k), 1e-30f);
    const Tensor a = tensor({70, k}, tiny), b = tensor({k, 70}, tiny);
    const Tensor minus = tensor({70, k}, std::vector<float>(tiny.size(), -1e-30f));
    for (const float value : matmul(minus, b).to_vector<float>())
      CHECK((value == 0 && std::signbit(value)));
    for (const float value : matmul(a, b).to_vector<float>())
      CHECK((value == 0 && !std::signbit(value)));
  }
}

TEST_CASE("matmul: tf32 multiplies operands of 10 bits of fraction") {
  const std::int64_t k = 70;
  for (const auto& [m, n] : {std::pair{130, 140}, std::pair{3, 5}, std::pair{1000, 900}}) {
    const Tensor a = rough({m, k}), b = rough({k, n}, DType::f32, 2);
    const std::vector<float> exact = matmul(a, b).to_vector<float>();
    const Choose chosen(Products::tf32);
    if (!on_cuda()) {
      CHECK(message([&] { matmul(a, b); }) ==
            "matmul: tf32 needs the device cuda: the operands are on cpu. Move them there, or take "
            "--precision f32.");
      continue;
    }
    const std::vector<float> y = matmul(a, b).to_vector<float>();
    const std::vector<double> rounded = reference::matmul(
        tf32(a), tf32(b), std::vector<double>(static_cast<std::size_t>(m * n)), m, n, k);
    double largest = 0, from_exact = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      largest = std::max(largest, std::fabs(y[i] - rounded[i]));
      from_exact = std::max(from_exact, std::fabs(static_cast<double>(y[i]) - exact[i]));
    }
    CHECK(largest < 2 * k * 0x1p-23);  // of k products below 1.7 in sums of k
    CHECK(from_exact > 0x1p-12);
  }
}

TEST_CASE("matmul: tf32 leaves f64 and bf16 as they are") {
  for (const DType dtype : {DType::f64, DType::bf16}) {
    const Tensor a = rough({40, 30}, dtype), b = rough({30, 50}, dtype, 2);
    const std::vector<double> before = to_doubles(on_cpu(matmul(a, b)));
    const Choose chosen(Products::tf32);
    CHECK(to_doubles(on_cpu(matmul(a, b))) == before);
  }
}
