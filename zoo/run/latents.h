// Paths through the latent space of models whose z is N(0, I).
#pragma once
#include "tensor/random.h"

namespace likely {

// Rows that lead from one draw a to another b in `columns` steps: cos θ a + sin θ b for θ from 0 to
// π/2, so that each step is itself a draw from N(0, I). [rows · columns, latents]
Tensor latent_paths(std::int64_t rows, std::int64_t columns, std::int64_t latents,
                    const Draw& draw);

}  // namespace likely
