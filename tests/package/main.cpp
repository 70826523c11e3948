// A program outside the tree, against the installed package: a product and its gradient.
#include <autograd/ops.h>

#include <cstdio>

using namespace likely;

int main() {
  const Variable x = Tensor::of<float>({1, 2}, std::vector<float>{5, 6});
  const Variable w = Variable::leaf(Tensor::of<float>({2, 2}, std::vector<float>{1, 2, 3, 4}));
  const Variable y = sum(matmul(x, w));
  const std::vector<float> gradient = gradients(y, {w})[0].value().to_vector<float>();
  fmt::print("sum {} gradient {}\n", y.value().item<float>(), fmt::join(gradient, " "));
  return y.value().item<float>() == 57 && gradient == std::vector<float>{5, 5, 6, 6} ? 0 : 1;
}
