// `--kernels attention=fastest`.
#pragma once
#include "kernels/attention.h"
#include "kernels/choice.h"

namespace likely::kernels {

Winner fastest_attention(const AttentionProblem& problem, const AttentionBackend& own,
                         const AttentionBackend& vendor);

}  // namespace likely::kernels
