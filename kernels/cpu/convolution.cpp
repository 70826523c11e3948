// Convolutions on the CPU.
#include "kernels/convolution.h"

#include "kernels/cpu/convolution_plain.h"

namespace likely::kernels {
namespace {

bool serves(const ConvolutionProblem& problem) { return !problem.tf32; }
std::size_t no_workspace(const ConvolutionProblem&, int) { return 0; }

const Registered registered_plain{
    convolution_family(), Device::cpu, Source::own,
    ConvolutionBackend{"convolution plain", serves, no_workspace, convolution_plain}};

}  // namespace
}  // namespace likely::kernels
