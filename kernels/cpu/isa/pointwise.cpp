// Values and gradients of all formulas in f32, compiled once for each instruction set.
#include "kernels/cpu/isa/pointwise_loops.h"

namespace likely::kernels::LIKELY_ISA {

const FirstOrderLoops<float>* const pointwise_f32 = Tables<float, Formulas>::first;

}  // namespace likely::kernels::LIKELY_ISA
