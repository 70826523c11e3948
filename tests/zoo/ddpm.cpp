// The DDPM: beside PyTorch, by its parameters, and its bound on data that a network has learnt.
#include "zoo/models/ddpm.h"

#include <doctest/doctest.h>

#include "kernels/random.h"
#include "nn/parameters.h"
#include "tensor/safetensors.h"
#include "tests/device.h"
#include "tests/zoo/golden.h"
#include "tests/zoo/tiny_unet.h"
#include "zoo/run/trainer.h"

using namespace likely;

namespace {

Ddpm::Options tiny_options() {
  Ddpm::Options options;
  options.unet = tiny_unet();
  return options;
}

// A model on the device under test, initialised.
struct Placed {
  Ddpm model;
  Parameters parameters;
  Placed(const Shape& image, const Ddpm::Options& options)
      : model(Diffusion(image, 256, NoiseSchedule::linear(1000)), options),
        parameters(placed(model)) {}

 private:
  static Module& placed(Ddpm& model) {
    Module& module = model.networks()[0].module;
    module.to(device_under_test());
    module.initialise(3);
    return module;
  }
};

}  // namespace

TEST_CASE("ddpm: what it finds, its loss and its gradients agree with PyTorch's") {
  const SafeTensors file = load_safetensors(LIKELY_SOURCE "/tests/interop/ddpm.safetensors");
  const auto given = [&](const std::string& name) { return file.at(name).to(device_under_test()); };
  Placed of({8, 8, 2}, tiny_options());
  for (const Parameters::Entry& entry : of.parameters.entries())
    kernels::copy_into(entry.parameter.value(), given(entry.name));
  const Diffusion& diffusion = of.model.diffusion();
  const Variable noisy = diffusion.diffuse(given("x"), given("step"), given("noise"));
  CHECK(relative_distance(noisy.value(), file.at("result/noisy")) < 1e-6);
  of.parameters.begin_update();
  const Variable found = of.model.denoiser()(noisy, {given("step"), {}}, nullptr);
  CHECK(relative_distance(found.value(), file.at("result/found")) < 1e-5);
  const Variable loss = mean(square(Variable(given("noise")) - found));
  CHECK(relative_distance(loss.value(), file.at("result/loss")) < 1e-5);
  backward(loss);
  for (const Parameters::Entry& entry : of.parameters.entries()) {
    INFO(entry.name);
    CHECK(relative_distance(Parameters::slice(of.parameters.gradients(), entry),
                            file.at("gradient/" + entry.name), 1e-3) < 1e-4);
  }
}

TEST_CASE("ddpm: the published network has 35,746,307 parameters" * cpu_only) {
  Ddpm model(Diffusion({32, 32, 3}, 256, NoiseSchedule::linear(1000)), {});
  CHECK(model.networks()[0].module.parameter_count() == 35746307);
}

TEST_CASE("ddpm: samples and bounds depend on the seed alone, and lie where data lies") {
  Placed of({8, 8, 1}, [] {
    Ddpm::Options options = tiny_options();
    options.sampling = {.steps = 5};
    return options;
  }());
  const auto drawn = [&](std::uint64_t seed) {
    Random random = random_for(Occasion::pictures, seed, device_under_test());
    return kernels::to_doubles(of.model.sample(3, random));
  };
  const std::vector<double> first = drawn(1);
  CHECK(drawn(1) == first);
  CHECK(drawn(2) != first);
  for (const double value : first) {
    CHECK(value >= 0);
    CHECK(value <= 1);
  }
  Random random = random_for(Occasion::evaluation, 1, device_under_test());
  const Tensor images = kernels::uniform({5, 8, 8, 1}, random.draw("test/images"));
  const Likelihood found = of.model.likelihood(images, 7, random, {});
  CHECK(found.kind == LikelihoodKind::upper_bound);
  CHECK(found.method == "variational bound, 8 of 1000 times");
  double mean = 0;
  for (const double value : found.log_likelihood)
    mean -= value / 5;
  double terms = 0;
  for (const char* name : {"prior_nats", "steps_nats", "decoder_nats"})
    for (const auto& [term, value] : found.terms)
      if (term == name)
        terms += std::get<double>(value);
  CHECK(terms == doctest::Approx(mean));
}

// A network that never finds noise has a squared error of 1 a dimension: with the weights of the
// bound, the expectation of the loss is their sum.
TEST_CASE("ddpm: the objective `bound` has the weights of the bound" * cpu_only) {
  Ddpm::Options options;
  options.width = 4;
  options.objective = Ddpm::Objective::bound;
  const NoiseSchedule schedule = NoiseSchedule::linear(1000);
  Ddpm model(Diffusion({2}, 0, schedule), options);
  Module& module = model.networks()[0].module;
  module.initialise(3);
  double expected = 0;
  for (std::int64_t t = 1; t <= schedule.steps(); ++t)
    expected += 2 * schedule.weight(t, ReverseVariance::fixed_large);
  Random random = random_for(Occasion::evaluation, 1, Device::cpu);
  const NotRecording off;
  const Tensor points = kernels::normal({200000, 2}, random.draw("test/points"));
  CHECK(kernels::to_doubles(model.loss(0, {points}, random).value())[0] ==
        doctest::Approx(expected).epsilon(0.05));
}

TEST_CASE("ddpm: images that three levels cannot halve are seen with zeros around them" *
          cpu_only) {
  UnetOptions how = tiny_unet();
  how.multipliers = {1, 2, 2};
  const std::unique_ptr<Denoiser> net = make_unet({6, 7, 1}, 1000, how);
  net->initialise(3);
  Random random = random_for(Occasion::evaluation, 1, Device::cpu);
  const Variable x = kernels::normal({2, 6, 7, 1}, random.draw("test/images"));
  const StepAndLabels given{Tensor::of({2}, std::vector<std::int64_t>{0, 700}), {}};
  const NotRecording off;
  const Tensor found = (*net)(x, given, nullptr).value();
  REQUIRE(found.shape() == Shape{2, 6, 7, 1});
  // The same network on an image of 8x8 whose border is 0, of which the middle is taken.
  Tensor framed = kernels::zeros({2, 8, 8, 1}, DType::f32, Device::cpu);
  kernels::copy_into(framed.slice(1, 1, 7).slice(2, 0, 7), x.value());
  const Tensor whole = (*net)(framed, given, nullptr).value();
  CHECK(kernels::to_doubles(kernels::contiguous(found)) ==
        kernels::to_doubles(kernels::contiguous(whole.slice(1, 1, 7).slice(2, 0, 7))));
}

TEST_CASE("ddpm: images that cannot be halved, and widths that do not divide, are errors" *
          cpu_only) {
  CHECK_THROWS_WITH_AS(
      make_unet({4, 4, 1}, 1000, {}),
      "unet: images of [4, 4, 1] cannot be halved 3 times. Give fewer --multipliers.", UsageError);
  CHECK_THROWS_WITH_AS(make_unet({32, 32, 1}, 1000, {.width = 20}),
                       "unet: 20 channels do not divide into 32 groups. Choose a --width that "
                       "does, or other --groups.",
                       UsageError);
}
