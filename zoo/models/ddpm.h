// Ho, Jain & Abbeel (2020), Denoising Diffusion Probabilistic Models.
#pragma once
#include "zoo/diffusion/denoiser.h"
#include "zoo/diffusion/sampler.h"
#include "zoo/run/condition.h"
#include "zoo/run/sample_space.h"

namespace likely {

// The noise that a network, or a formula, finds in x [n, sample…], at times of which `step` holds
// t - 1, i64 [n].
using PredictNoise = std::function<Variable(const Variable& x, const Tensor& step)>;

// The terms of the bound on -log p(x), nats a sample (equation 5).
struct DiffusionBound {
  std::vector<double> prior, steps, decoder;  // L_T, Σ L_{t-1} over t = 2 … T, L_0; by sample
  std::vector<double> by_stratum;             // the mean of `steps`, in parts that grow with t
  std::vector<double> nats() const;           // their sum, by sample
};

// A diffusion of samples of one space, apart from the network.
class Diffusion {
 public:
  // `levels` of the data's values; 0 where they are continuous.
  Diffusion(const Shape& sample, int levels, const NoiseSchedule& schedule);

  // √ᾱ_t x_0 + √(1 - ᾱ_t) noise (equation 4), each sample at a time of its own.
  Variable diffuse(const Variable& x0, const Tensor& step, const Variable& noise) const;

  // Estimates from `strata` times of each sample, drawn from as many parts of 2 … T, one each,
  // which grow with t; T - 1 or more are all times.
  DiffusionBound bound(const PredictNoise& predict, const Tensor& samples, ReverseVariance variance,
                       std::int64_t strata, Random& random) const;

  // From noise at t = T, in the data's own range.
  Tensor sample(const PredictNoise& predict, const Variable& noise, const Sampling& how,
                Random& random) const;

  SampleSpace space;
  int levels;
  NoiseSchedule schedule;

 private:
  Table signal_, noise_;
};

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
