// Where a product or a convolution writes: a new tensor, or one that was given and is checked.
#pragma once
#include <vector>

#include "kernels/backend.h"

namespace likely::kernels {

// Throws, naming `operation`, unless into.out has the type and device of `like` and this shape, no
// element of it stands for two, and none lies in an operand.
Tensor result_in(const char* operation, const Into& into, const Shape& shape, const Tensor& like,
                 const std::vector<Tensor>& operands);

}  // namespace likely::kernels
