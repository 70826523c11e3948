// Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville (2017), Improved Training of Wasserstein GANs.
#include "kernels/copy.h"
#include "zoo/adversarial/settings.h"
#include "zoo/adversarial/wasserstein.h"

namespace likely {
namespace {

// Equation 3: the critic minimises E f(G(z)) - E f(x) + λ E (‖∂f/∂x̂‖₂ - 1)², x̂ between a real and
// a generated sample.
class WganGp : public Wasserstein {
 public:
  WganGp(const Shape& sample, const Options& options, double lambda)
      : Wasserstein(sample, options), lambda_(lambda) {}

 protected:
  Variable penalty(const Tensor& real, const Tensor& fake, Random& random) override {
    const Tensor between = interpolates(real, fake, random.draw("train/interpolation"));
    return mean(square(gradient_norms(critic(), between) - 1.0)) * lambda_;
  }

  // Two laws a distance d apart: the optimum has the slope s = 1 + d / 2λ between them and the gap
  // d s, so that gap / slope is W1.
  Diagnosis judge(double held_out_gap, const Tensor& real, const Tensor& fake,
                  Random& random) override {
    const Tensor between = interpolates(real, fake, random.draw("evaluate/interpolation"));
    const Tensor norms = gradient_norms(critic(), between).value();
    if (norms.is_meta())
      return {};
    double sum = 0, squares = 0;
    for (const double norm : kernels::to_doubles(norms)) {
      sum += norm;
      squares += norm * norm;
    }
    const auto n = static_cast<double>(norms.numel());
    const double mean = sum / n, deviation = std::sqrt(std::max(0.0, squares / n - mean * mean));
    const bool holds = std::abs(mean - 1) <= 0.1 && deviation <= 0.1;
    return {{{"w1_estimate", held_out_gap / mean},
             {"slope_mean", mean},
             {"slope_deviation", deviation}},
            holds ? "the penalty holds: the critic's slopes between real and generated samples are "
                    "1 within 0.1; gap / mean slope estimates W1"
                  : "the critic's slopes between real and generated samples are not yet 1 within "
                    "0.1; gap / mean slope estimates W1 only then"};
  }

 private:
  double lambda_;
};

std::unique_ptr<Model> make_wgan_gp(const Settings& settings, const DataInfo& data) {
  require<UsageError>(settings.text("critic-normalisation") != "batch",
                      "wgan-gp: batch normalisation in the critic: then its value of one sample "
                      "depends on the others, and the penalty is on each sample's own slope. Use "
                      "--critic-normalisation none.");
  Wasserstein::Options options = wasserstein_options(settings);
  const kernels::Adam adam{static_cast<float>(settings.number("beta1")), 0.9f};
  options.critic_optimiser.method = options.generator_optimiser.method = adam;
  return std::make_unique<WganGp>(data.image, options, settings.number("lambda"));
}

}  // namespace

ModelDescription wgan_gp_description() {
  ModelDescription d;
  d.name = "wgan-gp";
  d.title = "Gulrajani et al. (2017), Improved Training of Wasserstein GANs";
  d.summary = "a generator against a critic whose slopes are drawn to 1";
  d.settings = wasserstein_settings();
  d.settings.insert(
      d.settings.end(),
      {{"lambda", "weight of the penalty on the critic's slopes", 0.1, 0.1, 0.1, {}, {0, 1e6}},
       fixed_setting("beta1", "decay of Adam's first moment", 0.5, Range{0, 0.9999}),
       steps_setting(2000, 5000, 100000),
       batch_setting(256, 256, 256),
       rate_setting(1e-3, 1e-3, 1e-4),
       schedule_setting("linear", "linear", "constant")});
  d.for_data = [](Settings& settings, Preset preset, const std::string& data) {
    if (is_of_points(data))
      return;
    keep_grey(settings, data);
    const bool quick = preset == Preset::quick;
    settings.set("width", std::int64_t{quick ? 16 : preset == Preset::small ? 32 : 64});
    settings.set("latents", std::int64_t{128});
    settings.set("batch", std::int64_t{64});
    settings.set("beta1", 0.0);
    settings.set("lambda", 10.0);
    settings.set("rate", preset == Preset::paper ? 1e-4 : 5e-4);
    settings.set("steps", std::int64_t{quick ? 200 : preset == Preset::small ? 3000 : 200000});
  };
  d.data = points_then_images();
  d.faithfulness = {
      {"penalty", "λ = 10, two-sided", "10; 0.1 on points", "10; 0.1 on points (--lambda)",
       "as published"},
      {"optimiser", "Adam 1e-4, β₁ = 0, β₂ = 0.9", "Adam 1e-4, β₁ = 0.5",
       "`paper`: 1e-4; β₁ = 0 on images, 0.5 on points; smaller presets learn faster and decay to "
       "0",
       "algorithm 1 on images, the published code on points"},
      {"critic steps", "5", "5", "5", "as published"},
      {"networks on points", "MLP, 3 x 512, ReLU", "MLP, 3 x 512, ReLU",
       "`paper`: 3 x 512; `small` 3 x 256, `quick` 3 x 128", "less work"},
      {"networks on images", "many; the generator normalised by batch, the critic not",
       "5x5 kernels, width 64 (MNIST)", "4x4 kernels, stride 2, width 64; `small` 32, `quick` 16",
       "the sizes of DCGAN as everybody runs it"},
      {"batch", "64; 256 on points", "50 to 64; 256", "64; 256", "as published"},
  };
  d.make = make_wgan_gp;
  return d;
}

}  // namespace likely
