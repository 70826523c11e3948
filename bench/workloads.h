// The reference workloads: a model, one fixed batch, and the parts of its step that are timed.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "kernels/copy.h"
#include "kernels/graph.h"
#include "kernels/random.h"
#include "zoo/run/configuration.h"

namespace likely {

ModelDescription vae_description();
ModelDescription dcgan_description();
ModelDescription wgan_gp_description();
ModelDescription pixelcnn_description();
ModelDescription ddpm_description();

// What is timed: an update of one network, the whole step, or a batch of samples.
struct Part {
  static constexpr int whole = -1, samples = -2;
  std::string name;
  int network = whole;
  int of_peer = 1;  // so many of the peer's parts of this name do the same
};

struct Workload {
  std::string name;
  ModelDescription description;
  std::map<std::string, std::string> settings;
  Shape image;
  int levels;  // 2: an image is one of bits
  std::int64_t batch;
  std::vector<Part> parts;
};

// As the peer trains it: no clipping, no layer that begins at zero; a sample is one step back.
inline std::map<std::string, std::string> ddpm(const std::string& preset) {
  return {{"preset", preset},    {"blocks", "2"},          {"last-layers", "glorot"}, {"clip", "0"},
          {"average", "0.9999"}, {"sampler", "ancestral"}, {"sampling-steps", "1"}};
}

inline const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all{
      {"vae", vae_description(), {{"preset", "paper"}}, {28, 28, 1}, 2, 128, {{"step"}}},
      {"dcgan", dcgan_description(), {{"preset", "paper"}}, {64, 64, 3}, 256, 64, {{"step"}}},
      {"wgan-gp",
       wgan_gp_description(),
       {{"data", "shapes-rgb"}, {"preset", "paper"}},
       {32, 32, 3},
       256,
       64,
       {{"critic", 0}, {"generator", 1}}},
      {"pixelcnn", pixelcnn_description(), {{"preset", "paper"}}, {28, 28, 1}, 2, 64, {{"step"}}},
      // The peer computes all pixels for each of 784.
      {"pixelcnn-sample",
       pixelcnn_description(),
       {{"preset", "paper"}},
       {28, 28, 1},
       2,
       16,
       {{"pixel", Part::samples, 784}}},
      {"ddpm-small", ddpm_description(), ddpm("small"), {32, 32, 1}, 256, 64, {{"step"}}},
      {"ddpm-paper", ddpm_description(), ddpm("paper"), {32, 32, 3}, 256, 8, {{"step"}}},
      {"ddpm-sample",
       ddpm_description(),
       ddpm("small"),
       {32, 32, 1},
       256,
       64,
       {{"reverse", Part::samples}}}};
  return all;
}

// A model in training without data, checkpoints or schedules: what a step computes, and no more.
class Trained : public StepContext {
 public:
  enum class Graphs { on, off };
  Trained(const Workload& workload, Device device, Graphs graphs)
      : records_(graphs == Graphs::on && kernels::can_record(device)) {
    GivenSettings given;
    for (const auto& [name, value] : workload.settings)
      given[name] = {value, "--" + name};
    const Configuration configuration = resolve(workload.description, {}, given);
    model_ = workload.description.make(configuration.settings,
                                       {configuration.data(), workload.image, workload.levels});
    state_ = make_step_state({.seed = 1, .rate = 1e-4f}, device);
    random_.emplace(state_);
    const Shape shape = workload.image.inserted(0, workload.batch);
    const Draw draw = random_->draw("bench/input");
    batch_.images = workload.levels == 2
                        ? kernels::bernoulli(kernels::full(shape, 0.13, DType::f32, device), draw)
                        : kernels::uniform(shape, draw);
    for (const Network& network : model_->networks()) {
      network.module.to(device);
      network.module.initialise(1, network.name);
      networks_.push_back(std::make_unique<OfNetwork>(network));
    }
    for (const auto& trained : networks_)  // one network's loss may run all
      for (const auto& other : networks_)
        if (trained != other)
          trained->optimiser.commits(other->parameters.module());
  }

  // Runs a part once; the loss, or one number of a sample. On a GPU its launches are recorded, and
  // then replayed, as the trainer does.
  Tensor run(const Part& part) {
    if (!records_ || part.network == Part::samples)
      return launch(part);
    auto& [loss, graph] = recorded_[part.name];
    if (!graph) {
      loss = launch(part);
      graph = std::make_unique<kernels::Graph>(loss.device());
    } else {
      graph->run([&] { kernels::copy_into(loss, launch(part)); });
    }
    return loss;
  }
  std::int64_t parameter_count() const {
    std::int64_t count = 0;
    for (const auto& network : networks_)
      count += network->parameters.count();
    return count;
  }

  Batch next_batch() override { return batch_; }
  Tensor update(std::size_t network, const std::function<Variable(Random&)>& loss) override {
    std::vector<std::unique_ptr<Frozen>> constants;
    for (std::size_t other = 0; other < networks_.size(); ++other)
      if (other != network)
        constants.push_back(std::make_unique<Frozen>(networks_[other]->parameters.module()));
    random_->begin_update();
    return networks_[network]->optimiser.update(state_, [&](int) { return loss(*random_); });
  }
  void record(const std::string&, const Tensor&) override {}
  std::int64_t step() const override { return 0; }

 private:
  Tensor launch(const Part& part) {
    if (part.network == Part::samples)
      return model_->sample(batch_.images.size(0), *random_).reshape({-1}).slice(0, 0, 1);
    if (part.network == Part::whole)
      return model_->step(*this);
    const auto network = static_cast<std::size_t>(part.network);
    return update(network, [&](Random& random) { return model_->loss(network, batch_, random); });
  }

  struct OfNetwork {
    explicit OfNetwork(const Network& network)
        : parameters(network.module), optimiser(parameters, network.optimiser) {}
    Parameters parameters;
    Optimiser optimiser;
  };
  std::unique_ptr<Model> model_;
  std::vector<std::unique_ptr<OfNetwork>> networks_;
  Tensor state_;
  std::optional<Random> random_;
  Batch batch_;
  struct Recorded {
    Tensor loss;
    std::unique_ptr<kernels::Graph> graph;
  };
  bool records_;
  std::map<std::string, Recorded> recorded_;  // by part
};

}  // namespace likely
