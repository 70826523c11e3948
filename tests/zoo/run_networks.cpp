// Several networks and optimisers in one run: a tiny generator and its critic.
#include <cmath>
#include <limits>

#include "tensor/safetensors.h"
#include "tests/zoo/tiny_run.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/check_model.h"
#include "zoo/run/trainer.h"

using namespace likely;

namespace {

constexpr std::int64_t latents = 3, width = 5, pixels = 16, batch_size = 7, critic_updates = 2;
constexpr float bound = 0.05f;

struct TinyCritic : Module {
  TinyCritic() {
    add("hidden", hidden);
    add("out", out);
  }
  Variable operator()(const Variable& x) const { return out(hidden(x)); }
  Linear hidden{pixels, width, Activation::leaky_relu}, out{width, 1};
};

// Counts its passes in a buffer.
struct TinyGenerator : Module {
  TinyGenerator() { add("out", out); }
  Variable operator()(const Variable& z) {
    passes.stage((Variable(passes.value()) + 1.0).value());
    return out(z);
  }
  Linear out{latents, pixels, Activation::sigmoid};
  Buffer passes = add("passes", Buffer(kernels::full({1}, 0)));
};

class TinyPair : public Model {
 public:
  static inline std::function<double(std::int64_t step, std::size_t network)> factor;

  std::vector<Network> networks() override {
    return {{"critic", critic_, {.method = kernels::RmsProp{}, .bound = bound}},
            {"generator", generator_, {}}};
  }

  Variable loss(std::size_t network, const Batch& batch, Random& random) override {
    const Shape rows{batch.images.size(0), pixels};
    const Variable fake = generate(rows[0], batch.images.dtype(), random, "train/noise");
    const Variable score = mean(critic_(fake));
    const Variable loss =
        network == 1 ? -score
                     : score - mean(critic_(Variable(batch.images.reshape(rows)) * 2.0 - 1.0));
    return factor ? loss * factor(step_, network) : loss;
  }

  Tensor step(StepContext& context) override {
    step_ = context.step();
    Tensor last;
    for (int i = 0; i < critic_updates; ++i)
      last =
          context.update(0, [&](Random& random) { return loss(0, context.next_batch(), random); });
    const Batch batch = context.next_batch();
    context.update(1, [&](Random& random) { return loss(1, batch, random); });
    context.record("twice", (Variable(last) * 2.0).value());
    return last;
  }

  Tensor sample(std::int64_t count, Random& random) override {
    const NotRecording off;
    return generate(count, DType::f32, random, "sample/noise").value().reshape({count, 4, 4, 1});
  }

  Diagnosis diagnose(const Tensor& held_out, Random&) override {
    const Tensor score = mean(critic_(held_out.reshape({held_out.size(0), pixels}))).value();
    return {{{"held_out_score", score.is_meta() ? 0 : score.item<double>()}}, "scored"};
  }

 private:
  Variable generate(std::int64_t count, DType dtype, Random& random, const char* purpose) {
    return generator_(kernels::normal({count, latents}, random.draw(purpose), dtype));
  }

  TinyCritic critic_;
  TinyGenerator generator_;
  std::int64_t step_ = 0;
};

ModelDescription pair_description() {
  ModelDescription description = tiny_description();
  description.name = "pair";
  description.data = {"bars-4"};
  description.make = [](const Settings&, const DataInfo&) { return std::make_unique<TinyPair>(); };
  return description;
}

int run_pair(const std::string& folder, const std::map<std::string, std::string>& settings = {}) {
  return run(folder, settings, HastyFileSystem(), pair_description());
}

// While alive: losses are multiplied by f(step, network).
struct Factor {
  explicit Factor(std::function<double(std::int64_t, std::size_t)> f) {
    TinyPair::factor = std::move(f);
  }
  ~Factor() { TinyPair::factor = nullptr; }
};

std::int64_t integer(const SafeTensors& file, const std::string& name) {
  return file.at(name).item<std::int64_t>();
}

}  // namespace

TEST_CASE("networks: a checkpoint names each one's tensors, and each optimiser has its own count") {
  const TemporaryFolder folder;
  REQUIRE(run_pair(folder / "run", {{"steps", "6"}}) == 0);
  const std::string last = folder / "run/checkpoints/last/";
  const SafeTensors model = load_safetensors(last + "model.safetensors");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.tensors)
    names.push_back(name);
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"critic.hidden.bias", "critic.hidden.weight",
                                          "critic.out.bias", "critic.out.weight",
                                          "generator.out.bias", "generator.out.weight",
                                          "generator.passes"});
  const SafeTensors state = load_safetensors(last + "state.safetensors");
  CHECK(integer(state, "critic/count") == 6 * critic_updates);
  CHECK(integer(state, "generator/count") == 6);
  StepState step;
  std::memcpy(&step, state.at("step_state").raw(), sizeof step);
  CHECK(step.update == 6 * (critic_updates + 1));
  // What a network stages in another's update is committed with it.
  CHECK(model.at("generator.passes").item<double>() == 6 * (critic_updates + 1));
  for (const char* name : {"critic.hidden.weight", "critic.out.bias"})
    for (const double value : kernels::to_doubles(model.at(name)))
      CHECK(std::abs(value) <= bound);
}

TEST_CASE("networks: resume and thread counts leave the same bytes") {
  const TemporaryFolder folder;
  REQUIRE(run_pair(folder / "straight", {{"steps", "9"}, {"threads", "1"}}) == 0);
  REQUIRE(run_pair(folder / "stopped", {{"steps", "4"}, {"threads", "2"}}) == 0);
  REQUIRE(run_pair(folder / "stopped", {{"steps", "9"}}) == 0);
  check_same(results(folder / "straight", 9), results(folder / "stopped", 9));
}

TEST_CASE("networks: metrics have each one's loss, what the step records and the diagnosis") {
  const TemporaryFolder folder;
  {
    const Captured messages(2);
    REQUIRE(run_pair(folder / "run", {{"steps", "4"}, {"eval-every", "2"}}) == 0);
  }
  int step = 0;
  for (const auto& object : metrics_of(folder / "run")) {
    CHECK(object.at("step") == ++step);
    CHECK(object.at("critic_loss") == object.at("loss"));
    CHECK(object.at("generator_loss") != object.at("loss"));
    CHECK(object.at("twice").get<double>() ==
          doctest::Approx(2 * object.at("loss").get<double>()).epsilon(1e-6));
    CHECK(object.contains("held_out_score") == (step % 2 == 0));
  }
  CHECK(step == 4);
  const std::string report = read_file(folder / "run/report.html");
  for (const char* heading : {"<h2>Losses</h2>", "<h2>twice</h2>"})
    CHECK(report.find(heading) != std::string::npos);
}

TEST_CASE("networks: a NaN names the network, and neither network is changed by its update") {
  const TemporaryFolder folder;
  REQUIRE(run_pair(folder / "reference", {{"steps", "4"}}) == 0);
  for (const std::size_t network : {0, 1}) {
    const Factor factor([network](std::int64_t step, std::size_t of) {
      return step == 5 && of == network ? std::nan("") : 1;
    });
    const std::string name = folder / fmt::format("network-{}", network);
    CHECK(message_of<Diverged>([&] { run_pair(name); }) ==
          fmt::format("train: step 6 diverged in the update of {}: scale: output 0 of shape [] is "
                      "nan at []. The parameters are as before this update. Lower --rate, or look "
                      "at the data.",
                      network == 0 ? "critic" : "generator"));
    CHECK(read_file(name + "/checkpoints/last/model.safetensors") ==
          read_file(folder / "reference/checkpoints/last/model.safetensors"));
  }
}

TEST_CASE("networks: an update differentiates its own network alone") {
  const std::unique_ptr<DataSet> data = make_data_set("bars-4", {});
  Trainer trainer(pair_description(), resolve(pair_description(), {}, {}), *data, Device::cpu);
  const kernels::LaunchLog log;
  trainer.turn();
  // Products of a pass over a batch: one forward, one for each gradient of a weight, and one for
  // that of an input that leads to a weight.
  const double hidden = 2.0 * batch_size * pixels * width, out = 2.0 * batch_size * width,
               generator = 2.0 * batch_size * latents * pixels;
  const double critic_update = generator + 2 * (2 * hidden + 3 * out);
  const double generator_update = 2 * generator + 2 * (hidden + out);
  CHECK(log.flops() == critic_updates * critic_update + generator_update);
}

TEST_CASE("networks: plan has the allocator's peak to the byte") {
  check_planned({{"steps", "5"}, {"eval-every", "2"}}, pair_description());
}

TEST_CASE("check-gradients: every network's loss, the others being constants") {
  const auto checks = check_model(pair_description(), resolve(pair_description(), {}, {}), 2);
  REQUIRE(checks.size() == 4);
  for (const ModelCheck& check : checks)
    CHECK(check.passed());
  CHECK(to_line("pair", checks[2]).starts_with("pair: loss of generator, first order: error "));
}
