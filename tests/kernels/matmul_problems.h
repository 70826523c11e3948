// Sizes and layouts of products that reach every edge of the kernels.
#pragma once
#include "kernels/matmul.h"
#include "tests/kernels/tools.h"

namespace likely::kernels {

struct MatmulSizes {
  std::int64_t m, n, k;
};
// On both sides of every tile, panel, strip and block of both instruction sets.
inline const MatmulSizes odd_sizes[] = {
    {1, 1, 1},    {1, 7, 3},    {2, 16, 5},  {3, 17, 16},  {5, 24, 33},   {6, 32, 20},
    {7, 33, 1},   {13, 20, 64}, {14, 40, 7}, {15, 8, 100}, {28, 64, 31},  {29, 500, 20},
    {61, 47, 53}, {1, 784, 50}, {40, 1, 19}, {9, 70, 513}, {17, 19, 1025}};

enum class Layout { rows, columns, strided };

// [m, n] with the values of `rough`, laid out in one of three ways.
inline Tensor laid_out(std::int64_t m, std::int64_t n, Layout layout, DType dtype,
                       std::uint32_t seed) {
  const Tensor x = rough({m, n}, dtype, seed);
  if (layout == Layout::rows)
    return x;
  Tensor all = layout == Layout::columns ? unwritten({n, m}, dtype)
                                         : unwritten({2 * m + 1, 3 * n + 1}, dtype);
  Tensor view = layout == Layout::columns ? all.transpose()
                                          : all.slice(0, 1, 2 * m + 1, 2).slice(1, 1, 3 * n + 1, 3);
  copy_into(view, x);
  return view;
}

// c = a b, of matrices as they lie.
inline MatmulProblem problem_of(const Tensor& a, const Tensor& b, const Tensor& c) {
  MatmulProblem problem{};
  problem.batch = 1;
  problem.m = a.size(0);
  problem.n = b.size(1);
  problem.k = a.size(1);
  problem.a = a.raw();
  problem.a_row = a.strides()[0];
  problem.a_column = a.strides()[1];
  problem.b = b.raw();
  problem.b_row = b.strides()[0];
  problem.b_column = b.strides()[1];
  problem.c = c.raw();
  problem.c_row = c.strides()[0];
  return problem;
}

}  // namespace likely::kernels
