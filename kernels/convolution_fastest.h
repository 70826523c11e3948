// `--kernels convolution=fastest`.
#pragma once
#include "kernels/choice.h"
#include "kernels/convolution.h"

namespace likely::kernels {

Winner fastest_convolution(const ConvolutionProblem& problem, const ConvolutionBackend& own,
                           const ConvolutionBackend& vendor);

}  // namespace likely::kernels
