// Products of the CPU: the kernels of its instruction sets against the plain one, bit for bit.
#include <doctest/doctest.h>

#include <limits>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/matmul.h"
#include "kernels/matmul.h"
#include "tests/kernels/matmul_problems.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

const MatmulBackend& plain_backend() {
  for (const MatmulBackend* candidate : matmul_family().candidates(Device{}))
    if (std::string(candidate->name) == "matmul plain")
      return *candidate;
  fail("matmul: the plain kernel is not registered.");
}

Product product_of(const Tensor& a, const Tensor& b, Tensor& c) {
  Product p{};
  p.m = a.size(0);
  p.n = b.size(1);
  p.k = a.size(1);
  p.a = a.data<float>();
  p.a_row = a.strides()[0];
  p.a_column = a.strides()[1];
  p.b = b.data<float>();
  p.b_row = b.strides()[0];
  p.b_column = b.strides()[1];
  p.c = c.data<float>();
  p.c_row = c.strides()[0];
  p.activation = Activation::tanh;
  return p;
}

std::vector<float> by_table(const ProductTable& table, const Tensor& a, const Tensor& b) {
  Tensor c = unwritten({a.size(0), b.size(1)});
  const Product p = product_of(a, b, c);
  const auto floats = static_cast<std::int64_t>(table.workspace(p));
  const Tensor workspace = filled({floats}, std::numeric_limits<double>::quiet_NaN());
  table.run(p, workspace.data<float>());
  return c.to_vector<float>();
}

std::vector<float> by_plain(const Tensor& a, const Tensor& b) {
  Tensor c = unwritten({a.size(0), b.size(1)});
  MatmulProblem p = problem_of(a, b, c);
  p.activation = Activation::tanh;
  plain_backend().fill(p, nullptr);
  return c.to_vector<float>();
}

}  // namespace

TEST_CASE("matmul: both instruction sets and the plain kernel give the same bits" * cpu_only) {
  for (const auto& [m, n, k] : odd_sizes)
    for (const Layout left : {Layout::rows, Layout::columns})
      for (const Layout right : {Layout::rows, Layout::columns}) {
        const Tensor a = laid_out(m, k, left, DType::f32, 1);
        const Tensor b = laid_out(k, n, right, DType::f32, 2);
        const std::vector<float> expected = by_plain(a, b);
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        CHECK(by_table(isa_v3::product_table, a, b) == expected);
        if (cpu_has(Isa::v4))
          CHECK(by_table(isa_v4::product_table, a, b) == expected);
      }
}
TEST_CASE("matmul: threads change no bit" * cpu_only) {
  for (const auto& [m, n, k] :
       {MatmulSizes{128, 20, 500}, MatmulSizes{20, 500, 128}, MatmulSizes{130, 300, 90}}) {
    const Tensor a = rough({m, k}), b = rough({n, k}, DType::f32, 2).transpose();
    std::vector<std::vector<float>> results;
    for (const int count : {1, 2, 3, 7}) {
      const Threads here(count);
      results.push_back(matmul(a, b).to_vector<float>());
    }
    for (const std::vector<float>& result : results)
      CHECK(result == results[0]);
  }
}
