// Convolutions as plain loops: any type, and what the fast kernels are compared with.
#pragma once
#include "kernels/convolution.h"

namespace likely::kernels {

void convolution_plain(const ConvolutionProblem& problem, void*);

}  // namespace likely::kernels
