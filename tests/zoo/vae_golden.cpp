// The VAE beside PyTorch on the same weights: tests/interop/make_golden.py wrote the numbers.
#include <doctest/doctest.h>

#include "kernels/copy.h"
#include "nn/parameters.h"
#include "tensor/safetensors.h"
#include "tests/zoo/golden.h"
#include "zoo/models/vae.h"

using namespace likely;

namespace {

struct GoldenVae {
  SafeTensors file = load_safetensors(LIKELY_SOURCE "/tests/interop/vae.safetensors");
  Vae model{{7, 7, 1}, {.hidden = 24, .latents = 5, .layers = 2}};
  Parameters parameters{model.module()};

  GoldenVae() {
    for (const Parameters::Entry& entry : parameters.entries())
      kernels::copy_into(entry.parameter.value(), file.at(entry.name));
  }

  void check_objective(const std::string& name, const std::string& noise) {
    parameters.begin_update();
    const Variable loss = model.objective(file.at("x"), file.at(noise));
    CHECK(relative_distance(loss.value(), file.at("result/" + name)) < 1e-5);
    backward(loss);
    for (const Parameters::Entry& entry : parameters.entries()) {
      INFO(entry.name);
      CHECK(relative_distance(Parameters::slice(parameters.gradients(), entry),
                              file.at("gradient/" + name + "/" + entry.name)) < 1e-5);
    }
  }
};

}  // namespace

TEST_CASE("vae: outputs agree with PyTorch on the same weights") {
  GoldenVae golden;
  const Normal q = golden.model.encode(golden.file.at("x"));
  CHECK(relative_distance(q.mean().value(), golden.file.at("result/mean")) < 1e-5);
  CHECK(relative_distance(q.log_variance().value(), golden.file.at("result/log_variance")) < 1e-5);
  CHECK(relative_distance(golden.model.logits(golden.file.at("noise")).value(),
                          golden.file.at("result/logits")) < 1e-5);
}

TEST_CASE("vae: the ELBO and its gradients agree with PyTorch") {
  GoldenVae().check_objective("elbo", "noise");
}

TEST_CASE("vae: the importance-weighted bound and its gradients agree with PyTorch") {
  GoldenVae().check_objective("iwae", "draws");
}
