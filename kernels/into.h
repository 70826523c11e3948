// Where an operation writes: a new tensor, or one that was given and is checked.
#pragma once
#include <vector>

#include "kernels/backend.h"

namespace likely::kernels {

// Whether an element of one lies in the other; both may be any views of one storage. (Where that
// would take long to find out, yes.)
bool overlap(const Tensor& x, const Tensor& y);

// Throws, naming `operation` and what it calls `out`, where an element of it may stand for two.
void require_writable(const char* operation, const char* name, const Tensor& out);

// Throws, naming `operation`, unless into.out has the type and device of `like` and this shape, no
// element of it stands for two, and none lies in an operand.
Tensor result_in(const char* operation, const Into& into, const Shape& shape, const Tensor& like,
                 const std::vector<Tensor>& operands);

}  // namespace likely::kernels
