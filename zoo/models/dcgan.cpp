#include "zoo/models/dcgan.h"

#include "kernels/copy.h"
#include "zoo/adversarial/settings.h"

namespace likely {

// With σ the logistic function, -log σ(l) = softplus(-l) and -log (1 - σ(l)) = softplus(l).
Variable discriminator_loss(const Variable& logits_of_real, const Variable& logits_of_generated) {
  return mean(softplus(-logits_of_real)) + mean(softplus(logits_of_generated));
}

Variable generator_loss(const Variable& logits_of_generated, Objective objective) {
  return objective == Objective::minimax ? -mean(softplus(logits_of_generated))
                                         : mean(softplus(-logits_of_generated));
}

Dcgan::Dcgan(const Shape& sample, const Options& options)
    : Adversarial(sample, options.generator),
      options_(options),
      discriminator_(make_critic(space_, options.discriminator)) {}

std::vector<Network> Dcgan::networks() {
  return {{"discriminator", *discriminator_, options_.optimiser},
          {"generator", *generator_, options_.optimiser}};
}

Dcgan::Logits Dcgan::logits(const Batch& batch, const Variable& generated) const {
  return {(*discriminator_)(space_.from_data(batch.images)),
          (*discriminator_)(stop_gradient(generated))};
}

Variable Dcgan::loss(std::size_t network, const Batch& batch, Random& random) {
  const Variable generated = (*generator_)(
      latents(batch.images.size(0), random.draw("train/latent"), batch.images.dtype()));
  if (network == generator_place)
    return generator_loss((*discriminator_)(generated), options_.objective);
  const Logits found = logits(batch, generated);
  return discriminator_loss(found.of_real, found.of_generated);
}

// The generator runs once a step: the discriminator's update puts it on the tape, and the
// generator's update differentiates that pass. (To find a value that is not finite it runs anew.)
Tensor Dcgan::step(StepContext& context) {
  Variable z, generated;
  const Tensor loss = context.update(discriminator_place, [&](Random& random) {
    const Batch batch = context.next_batch();
    z = latents(batch.images.size(0), random.draw("train/latent"));
    generator_->freeze(false);
    generated = (*generator_)(z);
    generator_->freeze();
    const Logits found = logits(batch, generated);
    context.record("d_of_real", mean(sigmoid(stop_gradient(found.of_real))).value());
    context.record("d_of_generated", mean(sigmoid(stop_gradient(found.of_generated))).value());
    return discriminator_loss(found.of_real, found.of_generated);
  });
  context.update(generator_place, [&](Random&) {
    const Variable once = generated.defined() ? std::exchange(generated, none) : (*generator_)(z);
    return generator_loss((*discriminator_)(once), options_.objective);
  });
  return loss;
}

// The balance of the two on held-out samples, each batch normalised by itself as in training.
Diagnosis Dcgan::diagnose(const Tensor& held_out, Random& random) {
  discriminator_->train();
  const Logits found =
      logits({held_out}, (*generator_)(latents(held_out.size(0), random.draw("evaluate/latent"))));
  if (held_out.is_meta())
    return {};
  const auto share_right = [](const Tensor& logits, double sign) {
    double right = 0;
    for (const double logit : kernels::to_doubles(logits))
      right += sign * logit > 0;
    return right / static_cast<double>(logits.numel());
  };
  const double real = share_right(found.of_real.value(), 1),
               generated = share_right(found.of_generated.value(), -1);
  const double told_apart = (real + generated) / 2;
  const char* verdict =
      told_apart > 0.97
          ? "the discriminator is far ahead: it tells nearly all samples apart, and the generator "
            "has little slope to follow"
      : told_apart < 0.55
          ? "the discriminator hardly tells samples apart: the generator has come close, or the "
            "discriminator is too weak to teach it"
          : "balanced: the discriminator tells most samples apart, and not all";
  return {{{"real_recognised", real}, {"generated_recognised", generated}}, verdict};
}

namespace {

std::unique_ptr<Model> make_dcgan(const Settings& settings, const DataInfo& data) {
  Dcgan::Options options;
  NetworkOptions network = network_options(settings);
  if (!is_of_points(data.name)) {
    network.ends = Ends::convolution;
    network.normalised = true;
    network.bias = Bias::no;
    network.initialise = normal(0.02);
    network.scale_from = normal(0.02, 1);
  }
  options.discriminator = options.generator = network;
  options.optimiser.method = kernels::Adam{static_cast<float>(settings.number("beta1")), 0.999f};
  options.objective =
      settings.text("objective") == "minimax" ? Objective::minimax : Objective::non_saturating;
  return std::make_unique<Dcgan>(data.image, options);
}

}  // namespace

ModelDescription dcgan_description() {
  ModelDescription d;
  d.name = "dcgan";
  d.title = "Radford, Metz & Chintala (2015), Deep Convolutional Generative Adversarial Networks";
  d.summary = "a generator against a discriminator";
  d.settings = network_settings();
  d.settings.insert(
      d.settings.end(),
      {fixed_setting("objective",
                     "of the generator: maximise log D(G(z)), or minimise log (1 - D(G(z)))",
                     "non-saturating", {"non-saturating", "minimax"}),
       fixed_setting("beta1", "decay of Adam's first moment", 0.5, Range{0, 0.9999}),
       steps_setting(300, 2500, 100000), batch_setting(64, 64, 128), rate_setting(2e-4, 2e-4, 2e-4),
       schedule_setting("constant", "constant", "constant")});
  d.for_data = [](Settings& settings, Preset preset, const std::string& data) {
    const bool quick = preset == Preset::quick;
    if (is_of_points(data)) {
      settings.set("batch", std::int64_t{256});
      settings.set("steps", std::int64_t{quick ? 3000 : preset == Preset::small ? 20000 : 100000});
      return;
    }
    keep_grey(settings, data);
    settings.set("width", std::int64_t{quick ? 32 : 64});
    settings.set("latents", std::int64_t{100});
  };
  d.data = images_then_points();
  d.faithfulness = {
      {"generator", "100-1024-512-256-128-3, 5x5 kernels, 18.9 M parameters (64x64)",
       "100-512-256-128-64-3, 4x4 kernels, 3,576,704 parameters",
       "the latter; 28x28 from 7x7, 32x32 from 4x4", "it is the variant that everybody runs"},
      {"discriminator", "its mirror", "3-64-128-256-512-1, 2,765,568 parameters", "the latter",
       "as above"},
      {"z", "100 dimensions, uniform", "100, normal", "100, normal", "paths between draws"},
      {"normalisation", "batch, but for G's output and D's input", "the same", "the same",
       "real and generated batches by themselves"},
      {"objective of G", "non-saturating", "non-saturating", "non-saturating (--objective)",
       "Goodfellow et al.'s minimax loses its slope where D wins"},
      {"optimiser", "Adam 2e-4, β₁ = 0.5", "the same", "the same", "as published"},
      {"batch", "128", "64", "`paper`: 128; else 64", "as published"},
      {"initial weights", "N(0, 0.02²)", "the same; scales N(1, 0.02²)", "the latter",
       "as everybody runs it"},
      {"pictures", "not said", "by the batch's own statistics", "by running statistics",
       "a sample does not depend on its neighbours"},
      {"points", "none", "none", "MLPs of 3 hidden layers, ReLU",
       "collapse can be seen and counted"},
  };
  d.make = make_dcgan;
  return d;
}

}  // namespace likely
