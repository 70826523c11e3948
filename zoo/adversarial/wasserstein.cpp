#include "zoo/adversarial/wasserstein.h"

#include "autograd/tape.h"
#include "kernels/copy.h"
#include "kernels/random.h"
#include "zoo/adversarial/settings.h"

namespace likely {

Variable critic_gap(const Critic& critic, const Variable& real, const Variable& fake) {
  const Variable scores = critic(concatenate({real, fake}, 0));  // one pass over both
  const std::int64_t n = real.size(0), all = scores.size(0);
  return mean(slice(scores, 0, 0, n)) - mean(slice(scores, 0, n, all));
}

Variable gradient_norms(const Critic& critic, const Tensor& x) {
  const RecordingScope recording(true);
  const TwiceDifferentiable twice;
  const Variable at = Variable::leaf(x);
  const Variable slopes = gradients(sum(critic(at)), {at}, {}, Recorded::yes)[0];
  const Variable squares =
      sum(square(reshape(slopes, {x.size(0), x.shape().without(0).numel()})), {1});
  return sqrt(squares + 1e-12);  // the root has no slope at 0, where a ReLU critic can be flat
}

Tensor interpolates(const Tensor& real, const Tensor& fake, const Draw& draw) {
  Shape each = Shape::filled(real.rank(), 1);
  each[0] = real.size(0);
  const Variable share = kernels::uniform(each, draw, real.dtype());
  return (Variable(fake) + share * (Variable(real) - Variable(fake))).value();
}

Wasserstein::Wasserstein(const Shape& sample, const Options& options)
    : Adversarial(sample, options.generator),
      options_(options),
      critic_(make_critic(space_, options.critic)) {}

std::vector<Network> Wasserstein::networks() {
  return {{"critic", *critic_, options_.critic_optimiser},
          {"generator", *generator_, options_.generator_optimiser}};
}

Variable Wasserstein::penalty(const Tensor&, const Tensor&, Random&) { return none; }

// A critic that normalises sees real and generated samples by themselves.
Variable Wasserstein::gap(const Variable& real, const Variable& fake) const {
  return options_.critic.normalised ? mean((*critic_)(real)) - mean((*critic_)(fake))
                                    : critic_gap(critic(), real, fake);
}

Wasserstein::CriticTerms Wasserstein::critic_terms(const Batch& batch, Random& random) {
  const Variable real = space_.from_data(batch.images);
  const Variable fake = stop_gradient(
      (*generator_)(latents(real.size(0), random.draw("train/latent"), real.dtype())));
  const Variable gap = this->gap(real, fake);
  const Variable added = penalty(real.value(), fake.value(), random);
  return {gap, added.defined() ? added - gap : -gap};
}

Variable Wasserstein::loss(std::size_t network, const Batch& batch, Random& random) {
  if (network == critic_place)
    return critic_terms(batch, random).loss;
  return -mean((*critic_)((*generator_)(
      latents(batch.images.size(0), random.draw("train/latent"), batch.images.dtype()))));
}

Tensor Wasserstein::step(StepContext& context) {
  Tensor critic_loss;
  Batch batch;
  for (std::int64_t i = 0; i < options_.critic_steps; ++i)
    critic_loss = context.update(critic_place, [&](Random& random) {
      batch = context.next_batch();
      const CriticTerms terms = critic_terms(batch, random);
      context.record("critic_gap", terms.gap.value());
      return terms.loss;
    });
  context.update(generator_place,
                 [&](Random& random) { return loss(generator_place, batch, random); });
  return critic_loss;
}

Diagnosis Wasserstein::diagnose(const Tensor& held_out, Random& random) {
  const Variable real = space_.from_data(held_out);
  const Variable fake =
      (*generator_)(latents(real.size(0), random.draw("evaluate/latent"), real.dtype()));
  const Tensor gap = this->gap(real, fake).value();
  const double value = gap.is_meta() ? 0 : gap.item<double>();
  Diagnosis diagnosis = judge(value, real.value(), fake.value(), random);
  diagnosis.values.insert(diagnosis.values.begin(), {"held_out_critic_gap", value});
  return diagnosis;
}

std::vector<Setting> wasserstein_settings() {
  std::vector<Setting> settings = network_settings();
  settings.push_back(fixed_setting("critic-steps",
                                   "updates of the critic for each of the generator",
                                   std::int64_t{5}, Range{1, 1000}));
  settings.push_back(fixed_setting("critic-normalisation", "of the critic's layers, of images",
                                   "none", {"none", "batch"}));
  return settings;
}

Wasserstein::Options wasserstein_options(const Settings& settings) {
  Wasserstein::Options options;
  options.critic = options.generator = network_options(settings);
  options.generator.normalised = true;
  options.critic.normalised = settings.text("critic-normalisation") == "batch";
  options.critic_steps = settings.integer("critic-steps");
  return options;
}

}  // namespace likely
