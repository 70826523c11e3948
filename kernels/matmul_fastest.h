// `--kernels matmul=fastest`: own or vendor for one problem, by measuring both on it.
#pragma once
#include "kernels/matmul.h"

namespace likely::kernels {

// Remembered (choice.h) where it was measured before; own on `meta`, where nothing can be. The
// vendor's is chosen only if its result agrees with own. Neither c nor the allocator is touched.
Source fastest_source(const MatmulProblem& problem, const MatmulBackend& own,
                      const MatmulBackend& vendor);

}  // namespace likely::kernels
