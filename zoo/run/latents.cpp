#include "zoo/run/latents.h"

#include <cmath>
#include <numbers>

#include "autograd/ops.h"
#include "kernels/random.h"

namespace likely {

Tensor latent_paths(std::int64_t rows, std::int64_t columns, std::int64_t latents,
                    const Draw& draw) {
  const Tensor ends = kernels::normal({rows, 2, latents}, draw);
  std::vector<float> cosines, sines;
  for (std::int64_t i = 0; i < columns; ++i) {
    const double angle = std::numbers::pi / 2 * static_cast<double>(i) /
                         static_cast<double>(std::max<std::int64_t>(1, columns - 1));
    cosines.push_back(static_cast<float>(std::cos(angle)));
    sines.push_back(static_cast<float>(std::sin(angle)));
  }
  const auto weights = [&](const std::vector<float>& values) {
    return Variable(Tensor::of({columns, 1}, values, ends.device()));
  };
  const Variable path = weights(cosines) * Variable(ends.slice(1, 0, 1)) +
                        weights(sines) * Variable(ends.slice(1, 1, 2));
  return path.value().reshape({rows * columns, latents});
}

}  // namespace likely
