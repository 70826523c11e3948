#include "nn/module.h"

#include <doctest/doctest.h>

#include "tests/nn/networks.h"

using namespace likely;

namespace {

std::vector<std::string> names(const Module& module) {
  std::vector<std::string> found;
  for (const auto& [name, parameter] : module.parameters())
    found.push_back(name);
  return found;
}

// One matrix for both directions.
struct Tied : Module {
  Tied() : forward(add("forward", Parameter({4, 4}, normal(0.5)))) { add("backward", forward); }
  Variable loss(const Variable& x) const {
    return sum(square(matmul(tanh(matmul(x, forward)), transpose(forward))));
  }
  Parameter forward;
};

struct Counter : Module {
  Counter()
      : mean(add("mean", Buffer(tensor({2}, {1, 2})))),
        seen(add("seen", Buffer(Tensor::of<std::int64_t>({1}, std::vector<std::int64_t>{3})))) {}
  Buffer mean, seen;
};

struct Named : Module {
  explicit Named(const std::vector<std::string>& parts) {
    for (const std::string& name : parts)
      add(name, Parameter({1}, zeros()));
  }
};

}  // namespace

TEST_CASE("module: parameters have paths as names, in the order of registration") {
  const Mlp mlp(3, 4, 2);
  CHECK(names(mlp) ==
        std::vector<std::string>{"hidden.weight", "hidden.bias", "out.weight", "out.bias"});
  CHECK(mlp.parameter_count() == 3 * 4 + 4 + 4 * 2 + 2);
}

TEST_CASE("module: a tied parameter stands once, under its first name") {
  const Tied tied;
  CHECK(names(tied) == std::vector<std::string>{"forward"});
  CHECK(tied.parameter_count() == 16);
}

TEST_CASE("module: the gradient of a tied parameter is the sum over its uses") {
  Tied tied;
  tied.initialise(1);
  tied.to(DType::f64);
  const Variable x(normals("tied", {3, 4}, DType::f64));
  const Variable first = Variable::leaf(tied.forward.value());
  const Variable second = Variable::leaf(tied.forward.value());
  const Variables apart =
      gradients(sum(square(matmul(tanh(matmul(x, first)), transpose(second)))), {first, second});
  const std::vector<double> a = doubles(apart[0].value()), b = doubles(apart[1].value());

  Parameters parameters(tied);
  CHECK(parameters.count() == 16);
  CHECK(parameters.entries().size() == 1);
  CHECK(Optimiser(parameters, {.method = kernels::Sgd{}}).tensors().size() == 2);  // and its count
  parameters.begin_update();
  backward(tied.loss(x));
  const std::vector<double> together = doubles(parameters.gradients());
  for (std::size_t i = 0; i < a.size(); ++i)
    CHECK(together[i] == doctest::Approx(a[i] + b[i]).epsilon(1e-12));
}

TEST_CASE("module: names that are taken or hold a slash are refused") {
  CHECK_THROWS_WITH_AS(Named({"w", "w"}), "module: there are two parts named 'w'. Rename one.",
                       Error);
  CHECK_THROWS_WITH_AS(Named({"a/b"}),
                       "module: 'a/b' is not a name for a part. Use one or more characters, none "
                       "of them '/'.",
                       Error);
}

TEST_CASE("module: what a parameter draws depends on seed and name, not on order or siblings") {
  struct One : Module {
    One() : w(add("w", Parameter({8}, normal(1)))) {}
    Parameter w;
  } one;
  struct Two : Module {
    Two()
        : other(add("other", Parameter({5}, normal(1)))), w(add("w", Parameter({8}, normal(1)))) {}
    Parameter other, w;
  } two;
  one.initialise(11);
  two.initialise(11);
  CHECK(doubles(one.w.value()) == doubles(two.w.value()));
  const std::vector<double> first = doubles(two.w.value());
  CHECK(first[0] != doubles(two.other.value())[0]);
  two.initialise(11);
  CHECK(doubles(two.w.value()) == first);
  two.initialise(12);
  CHECK(doubles(two.w.value()) != first);
  two.initialise(11, "network");
  CHECK(doubles(two.w.value()) != first);
}

TEST_CASE("module: a frozen parameter is a constant until it is thawed") {
  Mlp mlp(3, 4, 2);
  mlp.initialise(1);
  mlp.hidden.freeze();
  CHECK(mlp.hidden.weight.frozen());
  CHECK_FALSE(mlp.hidden.weight().wants_gradient());
  CHECK(mlp.out.weight().wants_gradient());
  const Variable x(normals("frozen", {2, 3}));
  CHECK_FALSE(mlp.hidden(x).wants_gradient());
  CHECK(mlp(x).wants_gradient());
  mlp.freeze(false);
  CHECK(mlp.hidden(x).wants_gradient());
}

TEST_CASE("module: the training flag reaches every child") {
  Mlp mlp(3, 4, 2);
  CHECK(mlp.out.training());
  mlp.train(false);
  CHECK_FALSE(mlp.training());
  CHECK_FALSE(mlp.hidden.training());
  mlp.train();
  CHECK(mlp.hidden.training());
}

TEST_CASE("module: f64 keeps the values and leaves buffers of integers as they are") {
  Mlp mlp(3, 4, 2);
  mlp.initialise(1);
  const std::vector<double> before = doubles(mlp.hidden.weight.value());
  mlp.to(DType::f64);
  CHECK(mlp.hidden.weight.value().dtype() == DType::f64);
  CHECK(doubles(mlp.hidden.weight.value()) == before);
  CHECK(mlp(Variable(normals("f64", {2, 3}, DType::f64))).dtype() == DType::f64);
  Counter counter;
  counter.to(DType::f64);
  CHECK(counter.mean.value().dtype() == DType::f64);
  CHECK(counter.seen.value().dtype() == DType::i64);
}

TEST_CASE("module: on meta there are shapes and no values") {
  Mlp mlp(3, 4, 2);
  mlp.to(Device::meta);
  mlp.initialise(1);
  const Variable y = mlp(Variable(Tensor::empty({5, 3}, DType::f32, Device::meta)));
  CHECK(y.value().is_meta());
  CHECK(y.shape() == Shape{5, 2});
}

TEST_CASE("module: a module in a flat buffer cannot be converted") {
  Mlp mlp(3, 4, 2);
  mlp.initialise(1);
  {
    const Parameters parameters(mlp);
    CHECK_THROWS_WITH_AS(mlp.to(DType::f64),
                         "module: 'hidden.weight' already lies in a flat buffer. Convert the "
                         "module before Parameters lays it out.",
                         Error);
  }
  mlp.to(DType::f64);
  CHECK(mlp.hidden.weight.value().dtype() == DType::f64);
}

TEST_CASE("buffer: a staged value is read at once, and stays only where it is committed") {
  Buffer buffer(tensor({2}, {1, 2}));
  const Tensor committed = buffer.value();
  buffer.stage(tensor({2}, {3, 4}));
  CHECK(doubles(buffer.value()) == std::vector<double>{3, 4});
  CHECK(doubles(committed) == std::vector<double>{1, 2});
  buffer.drop();
  CHECK(doubles(buffer.value()) == std::vector<double>{1, 2});
  buffer.stage(tensor({2}, {3, 4}));
  buffer.stage(tensor({2}, {5, 6}));
  buffer.commit(make_step_state({}));
  CHECK(doubles(buffer.value()) == std::vector<double>{5, 6});
  CHECK(buffer.value().same_view(committed));  // a checkpoint's view stays valid
  CHECK_THROWS_WITH_AS(buffer.stage(tensor({3}, {1, 2, 3})),
                       "buffer: f32 of shape [3] cannot replace f32 of shape [2].", Error);
}
