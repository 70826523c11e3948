// The adversarial models' networks, and what their updates compute and hold.
#include "tests/zoo/adversarial.h"

#include "tests/zoo/data_files.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/check_model.h"
#include "zoo/run/trainer.h"

using namespace likely;

namespace {

std::unique_ptr<Model> made(const ModelDescription& description, const Shape& sample,
                            const std::map<std::string, std::string>& settings) {
  return description.make(resolve(description, {}, given(settings)).settings,
                          {"test", sample, 256});
}

std::map<std::string, std::int64_t> parameter_counts(Model& model) {
  std::map<std::string, std::int64_t> counts;
  for (const Network& network : model.networks())
    counts[network.name] = network.module.parameter_count();
  return counts;
}

using Counts = std::map<std::string, std::int64_t>;

const std::map<std::string, std::string> small_run{{"threads", "1"},    {"width", "4"},
                                                   {"batch", "32"},     {"steps", "3"},
                                                   {"eval-every", "2"}, {"eval-count", "8"}};

std::map<std::string, std::string> small_but(std::map<std::string, std::string> settings) {
  settings.insert(small_run.begin(), small_run.end());
  return settings;
}

// The steps of a trainer, and the most memory that each of their updates takes.
class Weighed : public StepContext {
 public:
  Weighed(Trainer& trainer, Device device) : trainer_(trainer), allocator_(allocator_of(device)) {}

  Batch next_batch() override { return trainer_.next_batch(); }
  Tensor update(std::size_t network, const std::function<Variable(Random&)>& loss) override {
    allocator_.reset_peaks();
    const Tensor result = trainer_.update(network, loss);
    peaks.push_back(allocator_.counters().peak_in_use);
    return result;
  }
  void record(const std::string& name, const Tensor& value) override {
    trainer_.record(name, value);
  }
  std::int64_t step() const override { return trainer_.step(); }

  std::vector<std::size_t> peaks;

 private:
  Trainer& trainer_;
  Allocator& allocator_;
};

std::vector<std::size_t> peaks_of_updates(const ModelDescription& description, const char* data,
                                          Device device) {
  const auto images = make_data_set(data, {.device = device});
  Trainer trainer(description, resolve(description, {}, given(small_but({{"data", data}}))),
                  *images, device);
  Weighed weighed(trainer, device);
  for (int step = 0; step < 2; ++step)
    trainer.model().step(weighed);
  return weighed.peaks;
}

}  // namespace

TEST_CASE("dcgan: as many parameters as the implementation that everybody runs") {
  const std::map<std::string, std::string> settings{{"data", "shapes"}, {"preset", "paper"}};
  CHECK(parameter_counts(*made(dcgan_description(), {64, 64, 3}, settings)) ==
        Counts{{"discriminator", 2'765'568}, {"generator", 3'576'704}});
  CHECK(parameter_counts(*made(dcgan_description(), {64, 64, 1}, settings)) ==
        Counts{{"discriminator", 2'763'520}, {"generator", 3'574'656}});
}

TEST_CASE("networks of images: those that cannot be halved are refused") {
  for (const Shape& image : {Shape{28, 32, 1}, Shape{9, 9, 1}, Shape{36, 36, 3}})
    CHECK(message_of<UsageError>([&] {
            made(dcgan_description(), image, {{"data", "shapes"}});
          }) ==
          fmt::format("networks: images of {} are not square or cannot be halved down to 4 to 8 "
                      "pixels. Crop or resize them.",
                      image));
}

TEST_CASE("wgan-gp: the critic's update has 384.4 MFLOP a sample, and not PyTorch's 454.6") {
  const auto model = made(wgan_gp_description(), {32, 32, 3},
                          {{"data", "shapes"}, {"width", "64"}, {"latents", "128"}});
  CHECK(parameter_counts(*model) == Counts{{"critic", 662'977}, {"generator", 1'187'907}});
  for (const Network& network : model->networks()) {
    network.module.to(Device::meta);
    if (network.name == "generator")
      network.module.freeze();
  }
  const Network critic = model->networks()[0];
  const Parameters parameters(critic.module);
  const std::int64_t n = 64;
  const Batch batch{Tensor::empty({n, 32, 32, 3}, DType::f32, Device::meta)};
  Random random(make_step_state({}, Device::meta));
  const kernels::LaunchLog log;
  backward(model->loss(0, batch, random));
  // F: the critic forward, first: its first layer.
  const double first = 16 * 16 * 64 * 48, last = 4096, F = first + 2 * 8 * 8 * 128 * 1024 + last;
  const double generator = 128 * 4096 + 2 * 8 * 8 * 128 * 1024 + first;
  // Real, generated and interpolated samples forward: 3 F. The slope at the latter: F. Backward:
  // weights 2 F, samples 2 (F - first), and through the slope its two factors: F + (F - last).
  const double macs = generator + 3 * F + F + 2 * F + 2 * (F - first) + F + (F - last);
  CHECK(log.flops() == 2 * macs * n);
  CHECK(2 * macs / 1e6 == doctest::Approx(384.4).epsilon(1e-3));
}

TEST_CASE("wgan-gp: batch normalisation in the critic is refused") {
  CHECK(message_of<UsageError>([] {
          made(wgan_gp_description(), {28, 28, 1}, {{"critic-normalisation", "batch"}});
        }) ==
        "wgan-gp: batch normalisation in the critic: then its value of one sample depends on the "
        "others, and the penalty is on each sample's own slope. Use --critic-normalisation none.");
}

TEST_CASE("dcgan: a step runs the generator once, and no gradient that nothing reads") {
  const ModelDescription description = dcgan_description();
  const std::unique_ptr<DataSet> data = make_data_set("shapes", {.device = Device::meta});
  Trainer trainer(description, resolve(description, {}, given({{"data", "shapes"}})), *data,
                  Device::meta);
  const kernels::LaunchLog log;
  trainer.turn();
  // Width 32, 100 latents, 28x28: three layers each.
  const double near = 14.0 * 14 * 32 * 16, middle = 7.0 * 7 * 64 * 32 * 16, n = 64;
  const double discriminator = near + middle + 7 * 7 * 64,
               generator = near + middle + 100 * 7 * 7 * 64;
  // The discriminator's update: G forward; D forward, its weights and data gradients but the
  // images', twice. The generator's: D forward and all its data gradients, and no weights'; G's
  // weights and all data gradients but z's.
  const double first_update = generator + 2 * (3 * discriminator - near);
  const double second_update = 2 * discriminator + 2 * generator - 100 * 7 * 7 * 64;
  CHECK(log.flops() == 2 * n * (first_update + second_update));
}

TEST_CASE("adversarial models: planned to the byte") {
  for (const ModelDescription& description : adversarial_descriptions()) {
    CAPTURE(description.name);
    check_planned(small_but({{"data", "shapes"}}), description);
  }
}

TEST_CASE("adversarial models: each update of a step is planned to the byte") {
  kernels::meta_stands_for(Device::cpu);
  for (const ModelDescription& description : adversarial_descriptions())
    for (const char* data : {"shapes", "rings"}) {
      CAPTURE(description.name);
      CAPTURE(data);
      const auto planned = peaks_of_updates(description, data, Device::meta);
      CHECK(planned.size() == (description.name == "dcgan" ? 4 : 12));
      CHECK(planned == peaks_of_updates(description, data, Device::cpu));
    }
}

// 32 training images are 6 batches of 6, the last one short, and a step of a Wasserstein model
// takes 5: in 6 steps it meets the short one in each place, the last of which the generator's
// update sees too.
TEST_CASE("adversarial models: planned to the byte where epochs end within a step") {
  const TemporaryFolder folder;
  write_pictures(folder);
  for (const ModelDescription& description : adversarial_descriptions()) {
    CAPTURE(description.name);
    check_planned(
        small_but(
            {{"data", "pngs-32"}, {"data-dir", folder.path()}, {"batch", "6"}, {"steps", "6"}}),
        description);
  }
}

TEST_CASE("adversarial models: resume and thread counts leave the same bytes, on images") {
  for (const ModelDescription& description : adversarial_descriptions()) {
    CAPTURE(description.name);
    const TemporaryFolder folder;
    std::map<std::string, std::string> settings{
        {"data", "shapes"},    {"width", "4"},      {"batch", "8"},
        {"steps", "4"},        {"threads", "1"},    {"eval-every", "2"},
        {"sample-every", "4"}, {"eval-count", "8"}, {"schedule", "constant"}};
    const Captured messages(2);
    const auto go = [&](const char* name) {
      return run(folder / name, settings, HastyFileSystem(), description);
    };
    REQUIRE(go("straight") == 0);
    settings["threads"] = "2";
    settings["steps"] = "3";
    REQUIRE(go("stopped") == 0);
    REQUIRE(run(folder / "stopped", {{"steps", "4"}}, HastyFileSystem(), description) == 0);
    check_same(results(folder / "straight", 4), results(folder / "stopped", 4));
  }
}

TEST_CASE("check-gradients: the adversarial losses on images, with kinks and without") {
  for (const ModelDescription& description : {dcgan_description(), wgan_gp_description()})
    for (const char* activation : {"usual", "tanh"})
      for (const ModelCheck& check : check_model(
               description,
               resolve(description, {},
                       given({{"data", "shapes"}, {"width", "4"}, {"activation", activation}})),
               1)) {
        INFO(to_line(description.name, check));
        CHECK(check.passed());
      }
}
