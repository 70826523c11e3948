// What an update leaves behind: buffers, the state it keeps, memory; and what it leaves alone.
#include <doctest/doctest.h>

#include <limits>

#include "nn/optimiser.h"
#include "tensor/allocator.h"
#include "tests/nn/networks.h"

using namespace likely;

namespace {

// A network whose forward updates a running mean.
struct Running : Module {
  Running() : w(add("w", Parameter({4}, normal(1)))), mean(add("mean", Buffer(tensor({1}, {5})))) {
    initialise(2);
  }
  Variable loss(const Variable& factor) {
    mean.stage(tensor({1}, {doubles(mean.value())[0] + 1}));
    return sum(square(w()) * factor);
  }
  Parameter w;
  Buffer mean;
};
}  // namespace

TEST_CASE("optimiser: an update that is not finite leaves everything as it was") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Method& method :
       {Method{kernels::Adam{}}, Method{kernels::RmsProp{}}, Method{kernels::Sgd{0.9f}}})
    for (const bool only_loss : {false, true}) {
      Running network;
      Parameters parameters(network);
      Optimiser optimiser(parameters, {.method = method, .average_decay = 0.9f});
      Tensor step = step_at(0.1);
      const Variable one(tensor({4}, {1, 1, 1, 1}));
      optimiser.update(step, [&](int) { return network.loss(one); });
      CHECK(doubles(network.mean.value()) == std::vector<double>{6});

      const auto contents = [&] {
        std::vector<std::vector<double>> found;
        for (const auto& [name, value] : optimiser.tensors())
          if (name != "count")
            found.push_back(doubles(value));
        return found;
      };
      const auto before = contents();
      const Variable bad(tensor({4}, {1, 1, infinity, 1}));
      optimiser.update(step, [&](int) {
        return only_loss ? network.loss(one) + Variable(Tensor::scalar(nan)) : network.loss(bad);
      });
      CHECK(read_step_state(step).non_finite != 0);
      CHECK(read_step_state(step).update == 1);
      CHECK(optimiser.state().count.item<std::int64_t>() == 1);
      CHECK(contents() == before);
      CHECK(doubles(network.mean.value()) == std::vector<double>{6});
    }
}

TEST_CASE("optimiser: an exception in the loss drops what buffers staged") {
  Running network;
  Parameters parameters(network);
  Optimiser optimiser(parameters, {});
  Tensor step = step_at(0.1);
  CHECK_THROWS_AS(optimiser.update(step,
                                   [&](int) -> Variable {
                                     network.loss(Variable(tensor({4}, {1, 1, 1, 1})));
                                     fail<Diverged>("planted");
                                   }),
                  Diverged);
  CHECK(doubles(network.mean.value()) == std::vector<double>{5});
}

TEST_CASE("optimiser: buffers of another network are committed where that is asked for") {
  Running trained, other;
  Parameters parameters(trained);
  Optimiser optimiser(parameters, {});
  Tensor step = step_at(0.1);
  const Variable one(tensor({4}, {1, 1, 1, 1}));
  const auto loss = [&](int) { return trained.loss(one) + stop_gradient(other.loss(one)); };
  optimiser.commits(other);
  optimiser.update(step, loss);
  CHECK(doubles(trained.mean.value()) == std::vector<double>{6});
  CHECK(doubles(other.mean.value()) == std::vector<double>{6});
}

TEST_CASE("optimiser: its tensors restore it bit for bit") {
  const Optimiser::Options options{.average_decay = 0.9f};
  Bowl saved, resumed;
  Parameters saved_parameters(saved), resumed_parameters(resumed);
  Optimiser first(saved_parameters, options), second(resumed_parameters, options);
  Tensor step = step_at(0.1);
  for (int i = 0; i < 3; ++i)
    first.update(step, [&](int) { return saved.loss(); });
  const auto from = first.tensors(), to = second.tensors();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < from.size(); ++i) {
    names.push_back(from[i].first);
    CHECK(to[i].first == from[i].first);
    kernels::copy_into(to[i].second, from[i].second);
  }
  CHECK(names == std::vector<std::string>{"model/a", "model/b", "first/a", "first/b", "second/a",
                                          "second/b", "average/a", "average/b", "count"});
  Tensor other_step = make_step_state(read_step_state(step));
  first.update(step, [&](int) { return saved.loss(); });
  second.update(other_step, [&](int) { return resumed.loss(); });
  for (std::size_t i = 0; i + 1 < from.size(); ++i)
    CHECK(doubles(to[i].second) == doubles(from[i].second));
}

TEST_CASE("optimiser: state only where the method has it") {
  const auto names_of = [](const Method& method) {
    Running network;
    Parameters parameters(network);
    std::vector<std::string> names;
    for (const auto& [name, value] : Optimiser(parameters, {.method = method}).tensors())
      names.push_back(name);
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(names_of(kernels::Adam{}) == Names{"model/w", "first/w", "second/w", "count"});
  CHECK(names_of(kernels::RmsProp{}) == Names{"model/w", "second/w", "count"});
  CHECK(names_of(kernels::Sgd{0.9f}) == Names{"model/w", "first/w", "count"});
  CHECK(names_of(kernels::Sgd{}) == Names{"model/w", "count"});
}

TEST_CASE("optimiser: an update on meta allocates what one on the CPU does") {
  const auto peak_of_update = [](Device device) {
    Mlp mlp(6, 8, 3);
    mlp.to(device);
    mlp.initialise(1);
    Parameters parameters(mlp);
    Optimiser optimiser(parameters, {.average_decay = 0.9f, .accumulate = 2});
    Tensor step = make_step_state({}, device);
    const Variable x(kernels::full({16, 6}, 0.5, DType::f32, device));
    Allocator& allocator = allocator_of(device);
    const std::size_t before = allocator.counters().in_use;
    allocator.reset_peaks();
    optimiser.update(step, [&](int) { return mean(square(mlp(x))); });
    return allocator.counters().peak_in_use - before;
  };
  CHECK(peak_of_update(Device::meta) == peak_of_update({}));
}

TEST_CASE("optimiser: no micro-batch is no update") {
  Bowl bowl;
  Parameters parameters(bowl);
  CHECK_THROWS_WITH_AS(Optimiser(parameters, {.accumulate = 0}),
                       "optimiser: 0 micro-batches make no update. Use 1 or more.", Error);
}
