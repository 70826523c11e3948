// Pointwise formulas on CUDA: values and gradients.
#include "kernels/cuda/pointwise.h"

namespace likely::kernels {
namespace {

const Registered<PointwiseBackend> registered(pointwise_family(), Device::cuda, Source::own,
                                              {"pointwise", launch_pointwise<Order::value>,
                                               launch_pointwise<Order::gradients>,
                                               cuda::second_order});

}  // namespace
}  // namespace likely::kernels
