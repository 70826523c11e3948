#include "nn/parameters.h"

#include <doctest/doctest.h>

#include "tests/nn/networks.h"

using namespace likely;

namespace {

// Biases learn twice as fast; weights decay.
Group by_kind(const std::string&, const Shape& shape) {
  return shape.rank() == 1 ? Group{2, 0} : Group{1, 0.1f};
}

}  // namespace

TEST_CASE("parameters: slices are aligned, the padding is zero, and values survive the move") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Mlp mlp(3, 5, 2);
    mlp.initialise(3);
    mlp.to(dtype);
    const auto before = mlp.parameters();
    std::vector<std::vector<double>> values;
    for (const auto& [name, parameter] : before)
      values.push_back(doubles(parameter.value()));

    const Parameters parameters(mlp);
    CHECK(parameters.count() == mlp.parameter_count());
    std::vector<double> expected(static_cast<std::size_t>(parameters.values().numel()));
    for (std::size_t i = 0; i < before.size(); ++i) {
      const Parameters::Entry& entry = parameters.entries()[i];
      CHECK(entry.name == before[i].first);
      CHECK(entry.offset * static_cast<std::int64_t>(size_of(dtype)) % 64 == 0);
      CHECK(entry.parameter.value().storage() == parameters.values().storage());
      CHECK(entry.parameter.slot()->gradient.storage() == parameters.gradients().storage());
      CHECK(doubles(entry.parameter.value()) == values[i]);
      std::copy(values[i].begin(), values[i].end(), expected.begin() + entry.offset);
    }
    CHECK(doubles(parameters.values()) == expected);
    CHECK(doubles(parameters.gradients()) == std::vector<double>(expected.size()));
  }
}

TEST_CASE("parameters: one segment for each rate and decay, and they cover the buffer") {
  Mlp mlp(3, 5, 2);
  const Parameters parameters(mlp, {}, by_kind);
  const std::vector<kernels::Segment> segments = parameters.segments();
  REQUIRE(segments.size() == 2);
  CHECK(parameters.entries()[1].name == "out.weight");
  CHECK(segments[0].begin == 0);
  CHECK(segments[0].end == 32);  // 15 and 10 elements, each in a multiple of 16
  CHECK(segments[0].rate == 1);
  CHECK(segments[0].weight_decay == 0.1f);
  CHECK(segments[1].begin == 32);
  CHECK(segments[1].end == parameters.values().numel());
  CHECK(segments[1].rate == 2);
  CHECK(segments[1].weight_decay == 0);

  mlp.out.freeze();
  const std::vector<kernels::Segment> frozen = parameters.segments();
  REQUIRE(frozen.size() == 4);
  CHECK(frozen[1].begin == 16);
  CHECK(frozen[1].rate == 0);
  CHECK(frozen[2].rate == 2);
  CHECK(frozen[3].rate == 0);
}

TEST_CASE("parameters: a filter leaves the others alone") {
  Mlp mlp(3, 5, 2);
  const auto is_out = [](const std::string& name) { return name.starts_with("out."); };
  const Parameters out(mlp, is_out);
  CHECK(out.count() == 12);
  CHECK_FALSE(mlp.hidden.weight.slot());
  const Parameters hidden(mlp, [&](const std::string& name) { return !is_out(name); });
  CHECK(hidden.count() == 20);
}

TEST_CASE("parameters: what cannot be laid out is refused") {
  Mlp mlp(3, 5, 2);
  CHECK_THROWS_WITH_AS(Parameters(mlp, [](const std::string&) { return false; }),
                       "parameters: none is left of the 4 in the module. Check the filter.", Error);
  mlp.out.to(DType::f64);
  CHECK_THROWS_WITH_AS(Parameters{mlp},
                       "parameters: 'out.weight' is f64 on cpu, 'hidden.weight' is f32 on cpu. "
                       "Convert the whole module.",
                       Error);
  mlp.out.to(DType::f32);
  const Parameters parameters(mlp);
  CHECK_THROWS_WITH_AS(Parameters{mlp},
                       "parameters: 'hidden.weight' already lies in another flat buffer. One "
                       "optimiser trains it.",
                       Error);
}

TEST_CASE("parameters: a slot is overwritten once an update, and zero where nothing came") {
  Bowl bowl;
  Parameters parameters(bowl);
  const auto gradient_of = [&](std::size_t entry) {
    return doubles(Parameters::slice(parameters.gradients(), parameters.entries()[entry]));
  };
  parameters.begin_update();
  backward(sum(bowl.a()) + 2 * sum(bowl.b()));
  backward(sum(bowl.a()));
  parameters.finish_gradients();
  CHECK(gradient_of(0) == std::vector<double>(15, 2));
  CHECK(gradient_of(1) == std::vector<double>(5, 2));
  parameters.begin_update();
  backward(sum(bowl.a()));
  parameters.finish_gradients();
  CHECK(gradient_of(0) == std::vector<double>(15, 1));
  CHECK(gradient_of(1) == std::vector<double>(5, 0));
}

TEST_CASE("parameters: frozen ones get no gradient, their slot is zero") {
  Bowl bowl;
  Parameters parameters(bowl);
  backward(bowl.loss());
  bowl.b.freeze(true);
  parameters.begin_update();
  backward(bowl.loss());
  parameters.finish_gradients();
  const auto& entries = parameters.entries();
  CHECK(doubles(Parameters::slice(parameters.gradients(), entries[1])) ==
        std::vector<double>(5, 0));
  CHECK(doubles(Parameters::slice(parameters.gradients(), entries[0]))[0] != 0);
}

TEST_CASE("parameters: a module computes with other values while it is rebased") {
  Mlp mlp(3, 4, 2);
  mlp.initialise(5);
  Parameters parameters(mlp);
  const Variable x(normals("rebase", {2, 3}));
  const std::vector<double> before = doubles(mlp(x).value());
  parameters.rebase(kernels::zeros(parameters.values().shape()));
  CHECK(doubles(mlp(x).value()) == std::vector<double>(4, 0));
  CHECK_THROWS_WITH_AS(parameters.begin_update(),
                       "parameters: 'hidden.weight' computes with other values than those that are "
                       "trained. Rebase the module onto values() first.",
                       Error);
  parameters.rebase(parameters.values());
  CHECK(doubles(mlp(x).value()) == before);
  CHECK_THROWS_WITH_AS(parameters.rebase(kernels::zeros({3})),
                       "parameters: a flat buffer of [3] f32 elements on cpu does not fit [64] of "
                       "f32 on cpu.",
                       Error);
}

TEST_CASE("parameters: on meta the layout is the same") {
  Mlp here(3, 5, 2), there(3, 5, 2);
  there.to(Device::meta);
  const Parameters real(here, {}, by_kind), planned(there, {}, by_kind);
  CHECK(planned.values().is_meta());
  CHECK(planned.values().shape() == real.values().shape());
  for (std::size_t i = 0; i < real.entries().size(); ++i)
    CHECK(planned.entries()[i].offset == real.entries()[i].offset);
}
