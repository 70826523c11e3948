// Adversarial: what every generator of the family does, whoever judges its samples.
#pragma once
#include "zoo/adversarial/networks.h"
#include "zoo/run/model.h"

namespace likely {

class Adversarial : public Model {
 public:
  Tensor sample(std::int64_t count, Random& random) override;
  Tensor interpolate(std::int64_t rows, std::int64_t columns, Random& random) override;

 protected:
  Adversarial(const Shape& sample, const NetworkOptions& generator);
  // z ~ N(0, I), [count, latents]
  Variable latents(std::int64_t count, const Draw& draw, DType dtype = DType::f32) const;

  SampleSpace space_;
  std::unique_ptr<SampleNetwork> generator_;

 private:
  std::int64_t latents_;
};

}  // namespace likely
