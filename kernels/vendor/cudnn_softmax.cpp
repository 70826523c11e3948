// cuDNN's softmax on a GPU: by its older interface, as its graphs have no engine for it.
#include <cstdint>

#include "kernels/softmax.h"
#include "kernels/vendor/cudnn.h"
#include "kernels/vendor/proofs.h"

namespace likely::kernels {
namespace {

using namespace cudnn;

bool serves(const SoftmaxProblem& p) {
  return opened_cuda() == Cuda::gpu && p.plan == 0 &&
         (p.kind == SoftmaxKind::softmax || p.kind == SoftmaxKind::log_softmax) &&
         p.rows * p.columns <= INT32_MAX;
}

const VendorPaths paths{"softmax", vendor_softmax, "cuDNN", {DType::f32, DType::f64, DType::bf16}};

void fill(const SoftmaxProblem& p) {
  paths.use(p.dtype);
  cudnnTensorDescriptor_t rows = nullptr;
  check(cudnnCreateTensorDescriptor(&rows));
  const std::shared_ptr<void> destroys(rows, [](void* it) {
    cudnnDestroyTensorDescriptor(static_cast<cudnnTensorDescriptor_t>(it));
  });
  check(cudnnSetTensor4dDescriptor(rows, CUDNN_TENSOR_NCHW, type_of(p.dtype),
                                   static_cast<int>(p.rows), static_cast<int>(p.columns), 1, 1));
  const double f64[] = {1, 0};
  const float f32[] = {1, 0};
  const bool wide = p.dtype == DType::f64;
  const void* one = wide ? static_cast<const void*>(f64) : f32;
  const void* zero = wide ? static_cast<const void*>(f64 + 1) : f32 + 1;
  const auto launch = on_stream();
  check(cudnnSoftmaxForward(
      handle(), p.kind == SoftmaxKind::softmax ? CUDNN_SOFTMAX_ACCURATE : CUDNN_SOFTMAX_LOG,
      CUDNN_SOFTMAX_MODE_INSTANCE, one, rows, p.x, zero, rows, p.out));
}

const Registered registered{softmax_family(), Device::cuda, Source::vendor,
                            SoftmaxBackend{"softmax cuDNN", fill, nullptr, nullptr, serves}};

}  // namespace
}  // namespace likely::kernels
