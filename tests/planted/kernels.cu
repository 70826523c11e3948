// Kernels with the faults that proofs must find, beside one that is right. A module of its own with
// an emulator of its own: likely has none of them.
#include <cmath>
#include <cstdlib>
#include <limits>

#include "kernels/cuda/launch.h"

namespace likely::kernels {
namespace {

using Kernel = void (*)(float* y, const float* x, int count);

__global__ void right(float* y, const float* x, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x))
    y[i] = 2 * x[i];
}
__global__ void wrong(float* y, const float* x, int count) {
  right(y, x, count);
  if (threadIdx.x == 5)
    y[5] = 7;
}
__global__ void forgetful(float* y, const float* x, int count) { right(y, x, count - 1); }
__global__ void crashing(float* y, const float* x, int count) {
  right(y, x, count);
  std::abort();
}
__global__ void hanging(float* y, const float* x, int count) {
  right(y, x, count);
  for (volatile int always = 1; always;) {
  }
}
// What a race does on a GPU, where its order is not always the same.
int launches = 0;
__global__ void racy(float* y, const float* x, int count) {
  right(y, x, count);
  if (threadIdx.x == 6 && ++launches == 3)
    y[6] = std::nextafter(y[6], std::numeric_limits<float>::infinity());
}
__global__ void behind(float* y, const float* x, int count) {
  right(y, x, count);
  if (threadIdx.x == 0)
    y[count] = 0;
}
__global__ void before(float* y, const float* x, int count) {
  right(y, x, count);
  if (threadIdx.x == 0)
    y[-2] = 0;
}
__global__ void plain(float* y, const float* x, int count) { right(y, x, count); }

struct Planted {
  Kernel kernel;
  const Variant variant;
};
extern const Planted planted[];

Tensor twice(const Planted& by, const Tensor& x) {
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  cuda::launch(by.variant, by.kernel, {dim3(1), 32}, static_cast<float*>(y.raw()),
               static_cast<const float*>(x.raw()), static_cast<int>(x.numel()));
  return y;
}

Planted plant(int index, const char* name, Kernel kernel) {
  return {kernel, Variant("planted", name, DType::f32,
                          Proof{"a row", bar_of(DType::f32), [index](Inputs& in) -> Tensors {
                                  const Tensor x = in.normal({3, 4});
                                  if (x.device() == Device::cuda)
                                    return {twice(planted[index], x)};
                                  std::vector<double> values = x.to_vector<double>();
                                  for (double& value : values)
                                    value *= 2;
                                  return {Tensor::of(x.shape(), values)};
                                }})};
}

// From the one that would be chosen first to the one that is chosen last.
const Planted planted[] = {
    plant(0, "wrong", wrong),     plant(1, "forgetful", forgetful), plant(2, "crashing", crashing),
    plant(3, "hanging", hanging), plant(4, "racy", racy),           plant(5, "behind", behind),
    plant(6, "before", before),   plant(7, "right", right),         plant(8, "plain", plain)};

}  // namespace

// 2 x, by the first that is usable, or by the one of that name.
extern "C" void likely_planted(const Tensor& x, const char* name, Tensor& y) {
  for (const Planted& each : planted)
    if (*name ? each.variant.name() == name : each.variant.usable()) {
      y = twice(each, x);
      return;
    }
}

}  // namespace likely::kernels
