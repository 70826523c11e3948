// Kingma & Welling (2013), Auto-Encoding Variational Bayes; Burda, Grosse & Salakhutdinov (2015),
// Importance Weighted Autoencoders.
#pragma once
#include "nn/distributions.h"
#include "nn/linear.h"
#include "zoo/run/model.h"

namespace likely {

// What a bound needs of a model with a standard normal prior over z: q(z | x) and log p(x | z).
class LatentVariableModel {
 public:
  virtual ~LatentVariableModel() = default;
  virtual Normal encode(const Variable& x) const = 0;  // x [n, pixels] → q over [n, latents]
  // x [n, 1, pixels], z [n, k, latents] → [n, k], in nats
  virtual Variable log_prob_given(const Variable& x, const Variable& z) const = 0;
};

// Equation 3 of Kingma & Welling with one draw: ELBO = -reconstruction - Σ kl.
struct Elbo {
  Variable reconstruction;  // -log p(x | z), [n]
  Variable kl;              // KL(q(z_j | x) ‖ p(z_j)), [n, latents], in closed form
};
Elbo elbo(const LatentVariableModel& model, const Variable& x, const Variable& noise);

// log w = log p(x | z) + log p(z) - log q(z | x) for z = mean + σ noise; noise [n, k, latents] →
// [n, k].
struct Weighted {
  Variable log_weight, log_prob_given;
};
Weighted importance_weights(const LatentVariableModel& model, const Normal& q, const Variable& x,
                            const Variable& noise);

// Equation 8 of Burda et al.: log (1/k) Σ w, [n, k] → [n].
Variable importance_bound(const Variable& log_weight);

// The MLP VAE with a Bernoulli decoder.
class Vae : public Model, public LatentVariableModel {
 public:
  struct Options {
    std::int64_t hidden = 500, latents = 20, layers = 1;
    Activation activation = Activation::tanh;
    Initialiser initialise = glorot_uniform();
    std::int64_t importance_samples = 0;  // 0: the ELBO is the objective; k: the bound L_k
    Optimiser::Options optimiser = {};
  };
  Vae(const Shape& image, const Options& options);

  Normal encode(const Variable& x) const override;
  Variable log_prob_given(const Variable& x, const Variable& z) const override;
  Variable logits(const Variable& z) const;  // [..., latents] → [..., pixels]

  // The mean over the batch of the negative bound: the ELBO's for noise [n, latents], L_k's for
  // noise [n, k, latents].
  Variable objective(const Variable& x, const Variable& noise) const;

  std::vector<Network> networks() override;
  Variable loss(std::size_t network, const Batch& batch, Random& random) override;
  Likelihood likelihood(const Tensor& images, std::int64_t importance_samples, Random& random,
                        const std::function<void(std::int64_t)>& done) override;
  Tensor sample(std::int64_t count, Random& random) override;
  Tensor interpolate(std::int64_t rows, std::int64_t columns, Random& random) override;
  Tensor reconstruct(const Tensor& images, Random& random) override;
  Module& module() { return network_; }

 private:
  struct Layers : Module {
    Layers(std::int64_t pixels, const Options& options);
    std::vector<std::unique_ptr<Linear>> encoder, decoder;
    Linear mean, log_variance, out;
  };

  Shape image_;
  Options options_;
  Layers network_;
};

ModelDescription vae_description();

}  // namespace likely
