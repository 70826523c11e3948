// Whole networks: gradients against central differences, and recomputation.
#include <doctest/doctest.h>

#include "tensor/allocator.h"
#include "tests/nn/networks.h"

using namespace likely;

namespace {

// Layers in one block, which may be recomputed during backward.
struct Blocks : Module {
  enum class Memory { kept, recomputed };
  Blocks() : in(16, 32, Activation::tanh), out(32, 16, Activation::tanh) {
    add("in", in);
    add("out", out);
    initialise(4);
  }
  Variable loss(Variable x, Memory memory) const {
    const auto block = [this](const Variables& v) { return out(in(out(in(square(v[0]))))); };
    for (int i = 0; i < 8; ++i)
      x = memory == Memory::recomputed ? recompute(block, {x}) : block({x});
    return sum(square(x));
  }
  Linear in, out;
};

}  // namespace

TEST_CASE("gradients: a network of two layers in f64 against central differences") {
  Mlp mlp(4, 5, 3);
  mlp.initialise(6);
  mlp.to(DType::f64);
  Parameters parameters(mlp);
  const Variable x(normals("input", {7, 4}, DType::f64)), y(normals("target", {7, 3}, DType::f64));
  const auto loss = [&] { return mean(square(mlp(x) - y)); };
  parameters.begin_update();
  backward(loss());
  parameters.finish_gradients();
  const std::vector<double> analytic = doubles(parameters.gradients());
  double worst = 0;
  for (std::size_t i = 0; i < analytic.size(); ++i) {
    double& value = parameters.values().data<double>()[i];
    const double before = value, h = 1e-5 * std::max(1.0, std::abs(value));
    value = before + h;
    const double above = loss().value().item<double>();
    value = before - h;
    const double below = loss().value().item<double>();
    value = before;
    const double numeric = (above - below) / (2 * h);
    worst = std::max(worst, std::abs(analytic[i] - numeric) /
                                (std::abs(analytic[i]) + std::abs(numeric) + 1e-3));
  }
  CHECK(worst < 1e-7);
}

TEST_CASE("recompute: the same gradients with a lower peak of memory") {
  const auto run = [](Blocks::Memory memory) {
    Blocks blocks;
    Parameters parameters(blocks);
    const Variable x(normals("blocks", {512, 16}));
    Allocator& allocator = allocator_of({});
    const std::size_t before = allocator.counters().in_use;
    allocator.reset_peaks();
    parameters.begin_update();
    backward(blocks.loss(x, memory));
    parameters.finish_gradients();
    return std::pair(doubles(parameters.gradients()), allocator.counters().peak_in_use - before);
  };
  const auto [kept, kept_peak] = run(Blocks::Memory::kept);
  const auto [again, again_peak] = run(Blocks::Memory::recomputed);
  double worst = 0;
  for (std::size_t i = 0; i < kept.size(); ++i)
    worst = std::max(worst, std::abs(kept[i] - again[i]) / (1e-3 + std::abs(kept[i])));
  CHECK(worst < 1e-5);
  CHECK(again_peak < kept_peak / 2);
}

TEST_CASE("recompute: the second run draws the same numbers and stages no buffer again") {
  struct Noisy : Module {
    Noisy() : w(add("w", Parameter({4}, normal(1)))), runs(add("runs", Buffer(tensor({1}, {0})))) {
      initialise(3);
    }
    Parameter w;
    Buffer runs;
  } network;
  Parameters parameters(network);
  Optimiser optimiser(parameters, {.method = kernels::Sgd{}});
  Tensor step = step_at(0);
  Random random(step);
  std::vector<double> noise;
  int calls = 0;
  optimiser.update(step, [&](int) {
    const Draw draw = random.draw("tests/dropout");
    return sum(recompute(
        [&, draw](const Variables& v) {
          const Tensor drawn = kernels::normal({4}, draw);
          noise = doubles(drawn);
          ++calls;
          network.runs.stage(tensor({1}, {doubles(network.runs.value())[0] + 1}));
          return v[0] * Variable(drawn);
        },
        {network.w()}));
  });
  CHECK(calls == 2);
  CHECK(doubles(network.runs.value()) == std::vector<double>{1});
  CHECK(std::vector<double>(noise) == doubles(network.w.slot()->gradient));
}
