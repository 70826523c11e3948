// `--kernels matmul=fastest`.
#pragma once
#include "kernels/matmul.h"

namespace likely::kernels {

Source fastest_source(const MatmulProblem& problem, const MatmulBackend& own,
                      const MatmulBackend& vendor);

}  // namespace likely::kernels
