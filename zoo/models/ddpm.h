// Ho, Jain & Abbeel (2020), Denoising Diffusion Probabilistic Models.
#pragma once
#include "zoo/diffusion/denoiser.h"
#include "zoo/diffusion/diffusion.h"
#include "zoo/run/condition.h"

namespace likely {

class Ddpm : public Model {
 public:
  enum class Objective { simple, bound };
  struct Options {
    UnetOptions unet = {};
    std::int64_t width = 128, layers = 3;  // of the MLP, for points
    Objective objective = Objective::simple;
    Condition condition = {};
    ReverseVariance variance = ReverseVariance::fixed_large;
    Sampling sampling = {};
    Optimiser::Options optimiser = {};
  };
  Ddpm(const Diffusion& diffusion, const Options& options);

  std::vector<Network> networks() override;
  Variable loss(std::size_t network, const Batch& batch, Random& random) override;
  // `importance_samples` are the times of each sample that are looked at. Of a model that takes
  // labels without one, or, where none was dropped in training, the mean over labels: by Jensen's
  // inequality a bound, too.
  Likelihood likelihood(const Tensor& samples, std::int64_t importance_samples, Random& random,
                        const std::function<void(std::int64_t)>& done) override;
  Tensor sample(std::int64_t count, Random& random) override;
  Tensor sample_given(const Tensor& labels, double guidance, Random& random) override;
  std::int64_t classes() const override { return options_.condition.classes; }
  // Between draws of x_T, by deterministic DDIM.
  Tensor interpolate(std::int64_t rows, std::int64_t columns, Random& random) override;

  const Diffusion& diffusion() const { return diffusion_; }
  const Denoiser& denoiser() const { return *denoiser_; }

 private:
  PredictNoise predict(const Guidance& guidance) const;
  Guidance unlabelled(std::int64_t count, Random& random) const;  // without labels, or by chance
  Tensor draw(std::int64_t count, const Tensor& labels, double guidance, Random& random) const;

  Diffusion diffusion_;
  Options options_;
  Table weight_;  // of the squared error in the bound, times T
  std::unique_ptr<Denoiser> denoiser_;
};

ModelDescription ddpm_description();

}  // namespace likely
