// A model small enough to train in milliseconds: z ~ N(0, I), x given z Bernoulli by two layers,
// and the bound that takes the prior for the posterior.
#pragma once
#include <string>

#include "autograd/ops.h"
#include "kernels/copy.h"
#include "kernels/random.h"
#include "nn/linear.h"
#include "tests/captured.h"
#include "tests/zoo/temporary_folder.h"
#include "zoo/run/file_system.h"
#include "zoo/run/model.h"

namespace likely {

class TinyModel : public Model {
 public:
  TinyModel(const Settings& settings, const DataInfo& data)
      : image_(data.image), network_(settings.integer("hidden"), data.image.numel()) {}

  std::vector<Network> networks() override {
    Optimiser::Options options;
    options.average_decay = 0.9f;
    return {{"tiny", network_, options}};
  }

  // What a test does when a step begins.
  static inline std::function<void(std::int64_t step)> at_step;
  static inline std::function<void()> at_likelihood;  // and when one is asked for
  Tensor step(StepContext& context) override {
    if (at_step)
      at_step(context.step());
    return Model::step(context);
  }

  Variable loss(std::size_t, const Batch& batch, Random& random) override {
    return -mean(log_prob(batch.images, random, "train/latent"));
  }

  Likelihood likelihood(const Tensor& images, std::int64_t, Random& random,
                        const std::function<void(std::int64_t)>& done) override {
    if (at_likelihood)
      at_likelihood();
    const NotRecording off;
    Likelihood likelihood;
    likelihood.kind = LikelihoodKind::upper_bound;
    likelihood.method = "prior as posterior";
    likelihood.log_likelihood =
        kernels::to_doubles(log_prob(images, random, "evaluate/latent").value());
    likelihood.terms = {{"reconstruction_nats", 1.5},
                        {"kl_nats_per_latent", std::vector<double>{0, 0}}};
    done(images.size(0));
    return likelihood;
  }

  Tensor sample(std::int64_t count, Random& random) override {
    const NotRecording off;
    return sigmoid(logits(count, DType::f32, random, "sample/latent"))
        .value()
        .reshape(image_.inserted(0, count));
  }

 private:
  struct Layers : Module {
    Layers(std::int64_t width, std::int64_t pixels)
        : hidden(latents, width, Activation::tanh), out(width, pixels) {
      add("hidden", hidden);
      add("out", out);
    }
    Linear hidden, out;
  };
  static constexpr std::int64_t latents = 4;

  Variable logits(std::int64_t count, DType dtype, Random& random, const char* purpose) const {
    const Variable z = kernels::normal({count, latents}, random.draw(purpose), dtype);
    return network_.out(network_.hidden(z));
  }
  Variable log_prob(const Tensor& images, Random& random, const char* purpose) const {
    const Variable x = images.reshape({images.size(0), image_.numel()});
    return sum(bernoulli_log_prob(x, logits(images.size(0), images.dtype(), random, purpose)), {1});
  }

  Shape image_;
  Layers network_;
};

inline ModelDescription tiny_description() {
  ModelDescription description;
  description.name = "tiny";
  description.title = "Nobody (1900), Nothing";
  description.summary = "two layers";
  description.settings = {{"hidden", "width of the hidden layer", 8, 16, 32, {}, of_width},
                          steps_setting(40, 80, 160),
                          batch_setting(7, 7, 7),
                          rate_setting(0.01, 0.01, 0.001),
                          schedule_setting("constant", "linear", "cosine")};
  description.data = {"bars-4", "shapes", "rings", "mnist"};
  description.faithfulness = {{"what", "paper", "best", "ours <all>", "why"}};
  description.make = [](const Settings& settings, const DataInfo& data) {
    return std::make_unique<TinyModel>(settings, data);
  };
  return description;
}

// Does not wait for the disk.
class HastyFileSystem : public FileSystem {
  int sync(int) override { return 0; }
};

// The message of what f throws, which must be an E.
template <class E, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace likely
