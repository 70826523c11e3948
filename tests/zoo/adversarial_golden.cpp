// First updates beside PyTorch's on the same weights: tests/interop/make_adversarial_golden.py
// wrote the numbers, in PyTorch's names and layouts.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/copy.h"
#include "nn/optimiser.h"
#include "tensor/safetensors.h"
#include "tests/zoo/golden.h"
#include "zoo/adversarial/wasserstein.h"
#include "zoo/models/dcgan.h"

using namespace likely;

namespace {

constexpr double bar = 1e-4, rounding = 1e-4;

// A normalisation takes this bias away again: its gradient is rounding, and Adam's step its sign.
bool without_effect(const std::string& name) { return name.ends_with("generator.main.2.bias"); }

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name)
      : file_(load_safetensors(LIKELY_SOURCE "/tests/interop/" + name + ".safetensors")) {}

  Tensor at(const std::string& name) const { return file_.at(name); }
  Tensor images(const std::string& name) const {
    return kernels::contiguous(at(name).permute({0, 2, 3, 1}));
  }

  // A network with the file's weights. Its own, exported, say where each element of the file
  // belongs: the places of 0, 1, 2 … in PyTorch's layout.
  void load(const std::string& network, Module& module) const {
    for (auto& [name, parameter] : module.parameters()) {
      std::vector<float> places(static_cast<std::size_t>(parameter.shape().numel()));
      for (std::size_t i = 0; i < places.size(); ++i)
        places[i] = static_cast<float>(i);
      kernels::copy_into(parameter.value(), Tensor::of(parameter.shape(), places));
    }
    const auto exported = module.for_pytorch();
    const auto parameters = module.parameters();
    for (std::size_t p = 0, e = 0; p < parameters.size(); ++e) {
      const auto& [name, laid_out] = exported.at(e);
      if (name.find("running_") != std::string::npos)
        continue;
      const std::vector<double> places = kernels::to_doubles(laid_out),
                                values = kernels::to_doubles(at(network + "." + name));
      std::vector<float> ours(values.size());
      for (std::size_t i = 0; i < values.size(); ++i)
        ours[static_cast<std::size_t>(places[i])] = static_cast<float>(values[i]);
      const Parameter& parameter = parameters[p++].second;
      kernels::copy_into(parameter.value(), Tensor::of(parameter.shape(), ours));
    }
  }

  // Everything that the module exports against the file's tensors under `prefix`.
  void check(const std::string& prefix, const Module& module) const {
    for (const auto& [name, value] : module.for_pytorch()) {
      if (without_effect(prefix + name))
        continue;
      INFO("" << prefix << name);
      CHECK(relative_distance(value, at(prefix + name), rounding) < bar);
    }
  }

  // One update of a network on `loss`: the loss, its gradients, and what Adam leaves.
  void check_update(const std::string& network, Module& module, const kernels::Adam& adam,
                    const std::function<Variable()>& loss) const {
    Parameters parameters(module);
    Optimiser optimiser(parameters, {.method = adam});
    Tensor step = make_step_state({.rate = 2e-4f});
    const Tensor value = optimiser.update(step, [&](int) { return loss(); });
    CHECK(relative_distance(value, at("result/" + network), rounding) < bar);
    check("after/" + network + ".", module);
    parameters.rebase(parameters.gradients());  // to be laid out as the values are
    for (const auto& [name, gradient] : module.for_pytorch())
      if (name.find("running_") == std::string::npos && !without_effect(network + "." + name)) {
        INFO(name);
        CHECK(relative_distance(gradient, at("gradient/" + network + "." + name), rounding) < bar);
      }
    parameters.rebase(parameters.values());
  }

 private:
  SafeTensors file_;
};

}  // namespace

TEST_CASE("dcgan: losses, gradients and one step of Adam agree with PyTorch") {
  const GoldenFile golden("dcgan");
  const NetworkOptions how{
      .latents = 6, .width = 4, .ends = Ends::convolution, .bias = Bias::no, .normalised = true};
  const SampleSpace space({16, 16, 3});
  const auto discriminator = make_critic(space, how), generator = make_generator(space, how);
  golden.load("discriminator", *discriminator);
  golden.load("generator", *generator);
  const kernels::Adam adam{0.5f, 0.999f};
  const Variable generated = (*generator)(golden.at("z"));
  CHECK(relative_distance(generated.value(), golden.images("fake"), rounding) < bar);
  golden.check_update("discriminator", *discriminator, adam, [&] {
    const Variable of_real = (*discriminator)(golden.images("real"));
    return discriminator_loss(of_real, (*discriminator)(stop_gradient(generated)));
  });
  golden.check_update("generator", *generator, adam, [&] {
    const Frozen constants(*discriminator);
    return generator_loss((*discriminator)((*generator)(golden.at("z"))),
                          Objective::non_saturating);
  });
}

TEST_CASE("wgan-gp: losses, gradients and one step of Adam agree with PyTorch") {
  const GoldenFile golden("wgan-gp");
  const NetworkOptions how{.latents = 6, .width = 4};
  NetworkOptions generator_how = how;
  generator_how.normalised = true;
  const SampleSpace space({16, 16, 3});
  const auto network = make_critic(space, how), generator = make_generator(space, generator_how);
  golden.load("critic", *network);
  golden.load("generator", *generator);
  const Critic critic = std::cref(*network);
  const kernels::Adam adam{0, 0.9f};
  golden.check_update("critic", *network, adam, [&] {
    const Variable gap = critic_gap(critic, golden.images("real"), golden.images("fake"));
    return mean(square(gradient_norms(critic, golden.images("mix")) - 1.0)) * 10.0 - gap;
  });
  (*generator)(golden.at("z"));  // as the critic's update did
  for (auto& [name, buffer] : generator->buffers())
    buffer.commit(make_step_state({}));
  golden.check_update("generator", *generator, adam, [&] {
    const Frozen constants(*network);
    return -mean(critic((*generator)(golden.at("z"))));
  });
}
