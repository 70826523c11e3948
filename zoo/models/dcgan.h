// Radford, Metz & Chintala (2015), Unsupervised Representation Learning with Deep Convolutional
// Generative Adversarial Networks; the objectives are those of Goodfellow et al. (2014).
#pragma once
#include "zoo/adversarial/adversarial.h"

namespace likely {

// Goodfellow et al.: D(x) = σ(logit) is the probability that x is real. The discriminator maximises
// log D(x) + log (1 - D(G(z))); the generator minimises the same (`minimax`), or, with the same
// fixed point and a slope where it loses, maximises log D(G(z)) (`non_saturating`, section 3).
enum class Objective { non_saturating, minimax };
Variable discriminator_loss(const Variable& logits_of_real, const Variable& logits_of_generated);
Variable generator_loss(const Variable& logits_of_generated, Objective objective);

class Dcgan : public Adversarial {
 public:
  struct Options {
    NetworkOptions discriminator, generator;
    Optimiser::Options optimiser;
    Objective objective = Objective::non_saturating;
  };
  Dcgan(const Shape& sample, const Options& options);

  static constexpr std::size_t discriminator_place = 0, generator_place = 1;  // in networks()
  std::vector<Network> networks() override;
  Variable loss(std::size_t network, const Batch& batch, Random& random) override;
  Tensor step(StepContext& context) override;
  Diagnosis diagnose(const Tensor& held_out, Random& random) override;

 private:
  // Real and generated samples pass by themselves, so that each batch is normalised by itself.
  struct Logits {
    Variable of_real, of_generated;
  };
  Logits logits(const Batch& batch, const Variable& generated) const;

  Options options_;
  std::unique_ptr<SampleNetwork> discriminator_;
};

ModelDescription dcgan_description();

}  // namespace likely
