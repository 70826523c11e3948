// Steps that are recorded once and replayed, beside the same steps launch by launch. (On the CPU,
// where nothing is recorded, the two are alike from the start.)
#include <cmath>
#include <cstring>
#include <set>

#include "tests/device.h"
#include "tests/zoo/adversarial.h"
#include "zoo/models/vae.h"
#include "zoo/run/trainer.h"

namespace likely {
ModelDescription pixelcnn_description();
ModelDescription ddpm_description();
}  // namespace likely

using namespace likely;

namespace {

using Words = std::map<std::string, std::string>;

// So many training images or points, each of its row's and its draw's random words, with labels.
class FewRows final : public DataSet {
 public:
  FewRows(const Shape& image, int levels, std::int64_t count)
      : DataSet("few", image, levels, 1, device_under_test()), count_(count) {}

  std::int64_t size(Split) const override { return count_; }
  std::int64_t classes() const override { return 3; }
  Tensor labels(Split) const override {
    std::vector<std::uint8_t> labels;
    for (std::int64_t row = 0; row < count_; ++row)
      labels.push_back(static_cast<std::uint8_t>(row % 3));
    return Tensor::of({count_}, labels);
  }

 private:
  void write_image(Split, std::int64_t, const ImageWords& words,
                   std::uint8_t* pixels) const override {
    for (std::uint32_t i = 0; i < image().numel(); ++i)
      pixels[i] = static_cast<std::uint8_t>((words.block(i / 4).word[i % 4] >> 16) %
                                            static_cast<std::uint32_t>(levels()));
  }
  void write_values(Split split, std::int64_t row, const ImageWords& words,
                    float* values) const override {
    if (levels() > 0)
      return DataSet::write_values(split, row, words, values);
    for (std::uint32_t i = 0; i < image().numel(); ++i)
      values[i] = static_cast<float>(words.block(0).word[i] >> 8) * 0x1p-24f;
  }

  std::int64_t count_;
};

struct Example {
  std::string name;
  ModelDescription description;
  Words settings;
  Shape image;
  int levels;
};

const std::vector<Example>& examples() {
  static const std::vector<Example> all{
      {"vae", vae_description(), {{"hidden", "12"}, {"latents", "3"}}, {4, 4, 1}, 2},
      {"dcgan", dcgan_description(), {{"data", "shapes"}, {"width", "2"}}, {8, 8, 1}, 2},
      {"wgan-gp",
       wgan_gp_description(),
       {{"data", "rings"}, {"width", "8"}, {"layers", "2"}},
       {2},
       0},
      {"wgan-gp of images",
       wgan_gp_description(),
       {{"data", "shapes"}, {"width", "2"}},
       {8, 8, 1},
       2},
      {"pixelcnn",
       pixelcnn_description(),
       {{"width", "4"}, {"layers", "1"}, {"condition", "label"}},
       {4, 4, 1},
       2},
      {"pixelcnn in colour",
       pixelcnn_description(),
       {{"width", "4"}, {"layers", "1"}, {"head", "mixture"}, {"components", "2"}},
       {4, 4, 3},
       256},
      {"pixelcnn by softmax",
       pixelcnn_description(),
       {{"width", "4"}, {"layers", "1"}, {"head", "softmax"}},
       {4, 4, 1},
       256},
      {"ddpm", ddpm_description(), {{"data", "rings"}, {"width", "8"}}, {2}, 0},
      {"ddpm of images",
       ddpm_description(),
       {{"data", "shapes"},
        {"batch", "3"},
        {"width", "4"},
        {"multipliers", "1,2"},
        {"attention", "1"},
        {"groups", "2"},
        {"dropout", "0.1"},
        {"last-layers", "glorot"},
        {"objective", "bound"},
        {"condition", "label"}},
       {8, 8, 1},
       2}};
  return all;
}

Configuration configured(const Example& example, Words settings) {
  settings.insert(example.settings.begin(), example.settings.end());
  settings.insert({{"batch", "6"}, {"steps", "40"}, {"schedule", "linear"}});
  return resolve(example.description, {}, given(settings));
}

// All that a checkpoint holds, bit for bit.
std::map<std::string, std::vector<std::byte>> bits_of(const Trainer& trainer) {
  std::map<std::string, std::vector<std::byte>> bits;
  const Checkpoint checkpoint = trainer.checkpoint();
  for (const auto* tensors : {&checkpoint.model, &checkpoint.average, &checkpoint.state})
    for (const auto& [name, tensor] : *tensors) {
      std::vector<std::byte>& of_tensor =
          bits[name + (tensors == &checkpoint.average ? "/average" : "")];
      of_tensor.resize(tensor.bytes());
      kernels::contiguous(tensor).copy_to_host(of_tensor.data());
    }
  return bits;
}

void check_same_turns(const std::vector<Turn>& a, const std::vector<Turn>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(i);
    CHECK(a[i].step == b[i].step);
    CHECK(a[i].loss == b[i].loss);
    CHECK(std::isfinite(a[i].loss));
    CHECK(std::memcmp(&a[i].update, &b[i].update, sizeof a[i].update) == 0);
    CHECK(a[i].recorded == b[i].recorded);
  }
}

// Starts turn after turn, and looks at what each found only when the next is on its way.
void run_late(Trainer& trainer, std::int64_t until, std::vector<Turn>& turns) {
  while (trainer.step() < until) {
    trainer.start();
    while (const auto turn = trainer.found(Trainer::Wait::no))
      turns.push_back(*turn);
    CHECK(turns.size() + (on_cuda() ? 1 : 0) == static_cast<std::size_t>(trainer.step()));
  }
  while (const auto turn = trainer.found(Trainer::Wait::yes))
    turns.push_back(*turn);
}

}  // namespace

// Of 64 rows in batches of 6 the last batch of an epoch is short, so that replayed steps and others
// take turns; the rate falls from step to step.
TEST_CASE("graphs: twenty steps replayed have the bits of twenty launched, resumed or not") {
  for (const Example& example : examples()) {
    CAPTURE(example.name);
    const FewRows data(example.image, example.levels, 64);
    const auto trainer = [&](const char* graphs) {
      return std::make_unique<Trainer>(example.description,
                                       configured(example, {{"graphs", graphs}}), data,
                                       device_under_test());
    };
    const auto launched = trainer("off");
    std::vector<Turn> expected;
    while (launched->step() < 22)
      expected.push_back(launched->turn());
    std::set<float> rates;
    for (const Turn& turn : expected)
      rates.insert(turn.update.rate);
    CHECK(rates.size() >= 11);  // up and down, where the model warms up

    const Captured messages(2);
    const auto replayed = trainer("on");
    std::vector<Turn> turns;
    run_late(*replayed, 22, turns);
    check_same_turns(turns, expected);
    CHECK(bits_of(*replayed) == bits_of(*launched));

    turns.clear();
    auto first = trainer("on");
    run_late(*first, 9, turns);
    const auto second = trainer("on");
    second->restore(first->checkpoint());
    first.reset();
    run_late(*second, 22, turns);
    check_same_turns(turns, expected);
    CHECK(bits_of(*second) == bits_of(*launched));
    CHECK(messages.text() == "");
  }
}

TEST_CASE("graphs: replayed steps allocate nothing on the device, read nothing and never wait") {
  for (const Example& example : examples()) {
    CAPTURE(example.name);
    const FewRows data(example.image, example.levels, 1200);
    Trainer trainer(example.description, configured(example, {}), data, device_under_test());
    std::vector<Turn> turns;
    run_late(trainer, 4, turns);
    const auto asked = [] {
      const Allocator::Counters counters = allocator_of(device_under_test()).counters();
      return counters.fresh + counters.reused;
    };
    const std::uint64_t before = asked(), reads = kernels::traffic().reads,
                        waits = kernels::traffic().waits;
    run_late(trainer, 16, turns);
    if (on_cuda())
      CHECK(asked() == before);
    CHECK(kernels::traffic().reads == reads);
    CHECK(kernels::traffic().waits == waits);
    CHECK(turns.size() == 16);
  }
}

TEST_CASE("graphs: what replayed steps take is planned to the byte") {
  check_planned({{"device", device_under_test() == Device::cpu ? "cpu" : "cuda"},
                 {"steps", "9"},
                 {"eval-every", "4"}});
}

namespace {

// A discriminator and a generator of one weight each, whose losses a test can make NaN on the
// device, or of a factor that is not there.
class Scales : public Model {
 public:
  static inline Tensor factors, index;  // [2] of each network

  std::vector<Network> networks() override { return {{"first", a_, {}}, {"second", b_, {}}}; }
  Variable loss(std::size_t network, const Batch& batch, Random&) override {
    const Variable x = mean(batch.images);
    const auto row = static_cast<std::int64_t>(network);
    return square(network == 0 ? a_.weight() * x : b_.weight() - x) *
           take(Variable(factors), index.slice(0, row, row + 1));
  }
  static void reset() {
    factors = kernels::full({2}, 1, DType::f32, device_under_test());
    index = Tensor::of<std::int64_t>({2}, std::vector<std::int64_t>{0, 1}, device_under_test());
  }
  Tensor step(StepContext& context) override {
    Batch batch;
    const Tensor last = context.update(0, [&](Random& random) {
      batch = context.next_batch();
      return sum(loss(0, batch, random));
    });
    context.update(1, [&](Random& random) { return sum(loss(1, batch, random)); });
    return last;
  }
  Tensor sample(std::int64_t, Random&) override { return {}; }

 private:
  struct Weight : Module {
    Weight()
        : weight(add("weight",
                     Parameter({1}, [](Tensor& value, const Draw&) { kernels::fill(value, 2); }))) {
    }
    Parameter weight;
  };
  Weight a_, b_;
};

ModelDescription scales_description() {
  ModelDescription description = tiny_description();
  description.make = [](const Settings&, const DataInfo&) { return std::make_unique<Scales>(); };
  return description;
}

// Its training, launched or replayed.
struct ScalesRun {
  const Example example{"scales", scales_description(), {}, {2}, 0};
  const FewRows data{{2}, 0, 64};
  Trainer trainer;
  std::vector<Turn> turns;
  explicit ScalesRun(const char* graphs)
      : trainer(example.description, configured(example, {{"graphs", graphs}}), data,
                device_under_test()) {}
};

}  // namespace

TEST_CASE("graphs: a NaN in a replayed step is named, and leaves everything as before its update") {
  for (const std::int64_t network : {0, 1}) {
    CAPTURE(network);
    std::vector<std::map<std::string, std::vector<std::byte>>> left;
    for (const char* graphs : {"off", "on"}) {
      CAPTURE(graphs);
      Scales::reset();
      ScalesRun run(graphs);
      run_late(run.trainer, 6, run.turns);
      kernels::fill(Scales::factors.slice(0, network, network + 1), std::nan(""));
      CHECK(
          message_of<Diverged>([&] { run_late(run.trainer, 9, run.turns); }) ==
          fmt::format("train: step 7 diverged in the update of {}: take: output 0 of shape "
                      "[1] is nan at [0]. The parameters are as before this update. Lower --rate, "
                      "or look at the data.",
                      network == 0 ? "first" : "second"));
      CHECK(run.turns.size() == 6);
      left.push_back(bits_of(run.trainer));
    }
    CHECK(left[0] == left[1]);
    StepState state;
    std::memcpy(&state, left[1].at("step_state").data(), sizeof state);
    CHECK(state.update == 12 + static_cast<std::uint64_t>(network));
  }
  Scales::factors = Scales::index = Tensor();
}

TEST_CASE("graphs: a gradient that would overflow a moment stops a replayed step, and is named") {
  std::vector<std::map<std::string, std::vector<std::byte>>> left;
  std::vector<std::string> messages;
  for (const char* graphs : {"off", "on"}) {
    Scales::reset();
    ScalesRun run(graphs);
    run_late(run.trainer, 6, run.turns);
    kernels::fill(Scales::factors.slice(0, 0, 1), 1e24);
    messages.push_back(message_of<Diverged>([&] { run_late(run.trainer, 9, run.turns); }));
    CHECK(run.turns.size() == 6);
    left.push_back(bits_of(run.trainer));
  }
  CHECK(messages[0].starts_with(
      "train: step 7 diverged in the update of first: the norm of its gradient is "));
  CHECK(messages[0].ends_with(
      ", is of weight: Adam's second moment, of squares, overflows above 4.6e+18. The parameters "
      "are as before this update. Lower --rate, or look at the data."));
  CHECK(messages[0] == messages[1]);
  CHECK(left[0] == left[1]);
  Scales::factors = Scales::index = Tensor();
}

TEST_CASE("graphs: an index out of range is named, though no step waits for its indices") {
  std::vector<std::map<std::string, std::vector<std::byte>>> left;
  for (const char* graphs : {"off", "on"}) {
    CAPTURE(graphs);
    Scales::reset();
    ScalesRun run(graphs);
    const std::uint64_t reads = kernels::traffic().reads;
    run_late(run.trainer, 6, run.turns);
    CHECK(kernels::traffic().reads == reads);
    kernels::fill(Scales::index.slice(0, 1, 2), 2);
    CHECK(message_of<Error>([&] { run_late(run.trainer, 9, run.turns); }) ==
          "take: an index is out of range: index[0] is 2, rows are [0, 2). Check where the indices "
          "come from.");
    CHECK(run.turns.size() == 6);
    left.push_back(bits_of(run.trainer));
  }
  CHECK(left[0] == left[1]);
  Scales::factors = Scales::index = Tensor();
}
