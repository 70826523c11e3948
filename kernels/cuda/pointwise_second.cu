// Pointwise formulas on CUDA: second order.
#include "kernels/cuda/pointwise.h"

namespace likely::kernels::cuda {

void second_order(const PointwiseProblem& problem) { launch_pointwise<Order::second>(problem); }

}  // namespace likely::kernels::cuda
