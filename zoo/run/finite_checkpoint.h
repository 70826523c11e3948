// Whether a checkpoint is finite: one that is not is neither saved nor used.
#pragma once
#include "zoo/run/checkpoint.h"

namespace likely {

// The first element of a checkpoint that is not finite, in words ("first/out.weight is nan at 7 of
// 128"); empty where all are finite.
std::string first_not_finite(const Checkpoint& checkpoint);

}  // namespace likely
