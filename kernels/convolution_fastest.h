// `--kernels convolution=fastest`.
#pragma once
#include "kernels/convolution.h"

namespace likely::kernels {

Source fastest_source(const ConvolutionProblem& problem, const ConvolutionBackend& own,
                      const ConvolutionBackend& vendor);

}  // namespace likely::kernels
