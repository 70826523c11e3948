// `--kernels matmul=fastest`.
#pragma once
#include "kernels/choice.h"
#include "kernels/matmul.h"

namespace likely::kernels {

Winner fastest_matmul(const MatmulProblem& problem, const MatmulBackend& own,
                      const MatmulBackend& vendor);

}  // namespace likely::kernels
