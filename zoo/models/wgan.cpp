// Arjovsky, Chintala & Bottou (2017), Wasserstein GAN: the critic's weights are clipped.
#include "zoo/adversarial/settings.h"
#include "zoo/adversarial/wasserstein.h"

namespace likely {
namespace {

// Algorithm 1. Clipped weights make the critic K-Lipschitz with some K, so that it finds K · W1,
// and K is not known.
class Wgan : public Wasserstein {
 public:
  using Wasserstein::Wasserstein;

 protected:
  Diagnosis judge(double, const Tensor&, const Tensor&, Random&) override {
    return {{}, "the critic's gap is K W1 with K unknown: compare it within this run alone"};
  }
};

std::unique_ptr<Model> make_wgan(const Settings& settings, const DataInfo& data) {
  Wasserstein::Options options = wasserstein_options(settings);
  options.critic_optimiser.method = options.generator_optimiser.method = kernels::RmsProp{};
  options.critic_optimiser.bound = static_cast<float>(settings.number("clip"));
  return std::make_unique<Wgan>(data.image, options);
}

}  // namespace

ModelDescription wgan_description() {
  ModelDescription d;
  d.name = "wgan";
  d.title = "Arjovsky, Chintala & Bottou (2017), Wasserstein GAN";
  d.summary = "a generator against a critic with clipped weights";
  d.settings = wasserstein_settings();
  d.settings.insert(
      d.settings.end(),
      {{"clip", "weights of the critic stay in ± this", 0.05, 0.05, 0.01, {}, {1e-6, 1e6}},
       steps_setting(3000, 10000, 100000),
       batch_setting(256, 256, 64),
       rate_setting(1e-3, 1e-3, 5e-5),
       schedule_setting("linear", "linear", "constant")});
  d.for_data = [](Settings& settings, Preset preset, const std::string& data) {
    if (is_of_points(data))
      return;
    keep_grey(settings, data);
    const bool quick = preset == Preset::quick;
    settings.set("width", std::int64_t{quick ? 16 : preset == Preset::small ? 32 : 64});
    settings.set("latents", std::int64_t{100});
    settings.set("batch", std::int64_t{64});
    settings.set("clip", 0.01);
    settings.set("rate", quick ? 5e-4 : preset == Preset::small ? 2e-4 : 5e-5);
    settings.set("steps", std::int64_t{quick ? 300 : preset == Preset::small ? 4000 : 100000});
  };
  d.data = points_then_images();
  d.faithfulness = {
      {"constraint", "weights clipped to ± 0.01", "the same",
       "the same; on points ± 0.05 but for `paper`",
       "the flat buffer is clamped in the optimiser's pass"},
      {"optimiser", "RMSProp 5e-5", "RMSProp 5e-5",
       "`paper`: RMSProp 5e-5; else 2e-4 to 1e-3, decayed to 0", "fewer steps"},
      {"critic steps", "5", "5; 100 for the first 25 generator steps and every 500th", "5",
       "as in algorithm 1"},
      {"networks", "DCGAN, MLP", "DCGAN with batch normalisation in the critic",
       "DCGAN's convolutions, without normalisation in the critic unless --critic-normalisation "
       "batch; an MLP on points",
       "clipping to 0.01 crushes a normalisation's scale"},
      {"batch", "64", "64", "64", "as published"},
  };
  d.make = make_wgan;
  return d;
}

}  // namespace likely
