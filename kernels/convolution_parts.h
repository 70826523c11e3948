// The products that a convolution consists of.
#pragma once
#include <vector>

#include "kernels/convolution.h"
#include "kernels/convolution_gather.h"

namespace likely::kernels {

// What the pixels of a result see in one group of channels: one gather, or for the data gradient
// one for each remainder of rows and columns by the stride. The pixels of such a phase see the same
// taps, and are a convolution of stride 1 with those. For the weight gradient: what the outputs
// see.
std::vector<Gather> gathers_of(const ConvolutionProblem& problem, std::int64_t group);

std::int64_t weight_count(const ConvolutionProblem& problem);

}  // namespace likely::kernels
