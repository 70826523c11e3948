// `--kernels softmax=fastest`.
#pragma once
#include "kernels/choice.h"
#include "kernels/softmax.h"

namespace likely::kernels {

Winner fastest_softmax(const SoftmaxProblem& problem, const SoftmaxBackend& own,
                       const SoftmaxBackend& vendor);

}  // namespace likely::kernels
