#include "zoo/adversarial/adversarial.h"

#include "kernels/random.h"
#include "zoo/run/latents.h"

namespace likely {

Adversarial::Adversarial(const Shape& sample, const NetworkOptions& generator)
    : space_(sample), generator_(make_generator(space_, generator)), latents_(generator.latents) {}

Variable Adversarial::latents(std::int64_t count, const Draw& draw, DType dtype) const {
  return kernels::normal({count, latents_}, draw, dtype);
}

Tensor Adversarial::sample(std::int64_t count, Random& random) {
  const NotRecording off;
  return space_.to_data((*generator_)(latents(count, random.draw("sample/latent"))));
}

Tensor Adversarial::interpolate(std::int64_t rows, std::int64_t columns, Random& random) {
  const NotRecording off;
  return space_.to_data(
      (*generator_)(latent_paths(rows, columns, latents_, random.draw("sample/path"))));
}

}  // namespace likely
