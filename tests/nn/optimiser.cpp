#include "nn/optimiser.h"

#include <doctest/doctest.h>

#include "nn/normalise.h"
#include "tests/nn/networks.h"

using namespace likely;

namespace {

// One parameter vector by the plain formulas of the papers, in f64.
struct Reference {
  std::vector<double> x, first, second;
  std::int64_t count = 0;
  explicit Reference(const std::vector<double>& x) : x(x), first(x.size()), second(x.size()) {}

  void adam(const std::vector<double>& g, const kernels::Adam& how, double rate, double decay) {
    ++count;
    const double b1 = how.beta1, b2 = how.beta2;
    for (std::size_t i = 0; i < x.size(); ++i) {
      first[i] = b1 * first[i] + (1 - b1) * g[i];
      second[i] = b2 * second[i] + (1 - b2) * g[i] * g[i];
      const double m = first[i] / (1 - std::pow(b1, count));
      const double v = second[i] / (1 - std::pow(b2, count));
      x[i] -= rate * (m / (std::sqrt(v) + how.epsilon) + decay * x[i]);
    }
  }
  void rms_prop(const std::vector<double>& g, const kernels::RmsProp& how, double rate) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      second[i] = how.decay * second[i] + (1 - how.decay) * g[i] * g[i];
      x[i] -= rate * g[i] / (std::sqrt(second[i]) + how.epsilon);
    }
  }
  void sgd(const std::vector<double>& g, const kernels::Sgd& how, double rate) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      first[i] = how.momentum * first[i] + g[i];
      x[i] -= rate * first[i];
    }
  }
};

std::vector<double> towards(const std::vector<double>& x, double target) {
  std::vector<double> g;
  for (const double each : x)
    g.push_back(each - target);
  return g;
}

double norm(const std::vector<std::vector<double>>& parts) {
  double squares = 0;
  for (const auto& part : parts)
    for (const double g : part)
      squares += g * g;
  return std::sqrt(squares);
}

void check_close(const std::vector<double>& found, const std::vector<double>& expected,
                 double tolerance = 1e-5) {
  REQUIRE(found.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    worst = std::max(worst, std::abs(found[i] - expected[i]) / (1 + std::abs(expected[i])));
  CHECK(worst < tolerance);
}

// Ten updates of a Bowl, whose second parameter learns twice as fast and decays, beside `follow`,
// which moves the references of both parameters by the plain formulas.
template <class Follow>
void compare_ten_updates(const Optimiser::Options& options, const Follow& follow) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Bowl bowl;
    bowl.to(dtype);
    Reference a(doubles(bowl.a.value())), b(doubles(bowl.b.value()));
    Parameters parameters(bowl, {}, [](const std::string& name, const Shape&) {
      return name == "b" ? Group{2, 0.25f} : Group{};
    });
    Optimiser optimiser(parameters, options);
    Tensor step = step_at(0.05);
    for (int update = 0; update < 10; ++update) {
      const double expected = 0.5 * std::pow(norm({towards(a.x, 2), towards(b.x, 2)}), 2);
      const Tensor loss = optimiser.update(step, [&](int) { return bowl.loss(); });
      CHECK(loss.item<double>() == doctest::Approx(expected).epsilon(1e-5));
      CHECK(read_step_state(step).loss == doctest::Approx(expected).epsilon(1e-5));
      CHECK(read_step_state(step).gradient_norm ==
            doctest::Approx(norm({towards(a.x, 2), towards(b.x, 2)})).epsilon(1e-5));
      follow(a, b);
      check_close(doubles(bowl.a.value()), a.x);
      check_close(doubles(bowl.b.value()), b.x);
    }
    CHECK(read_step_state(step).update == 10);
    CHECK(optimiser.state().count.item<std::int64_t>() == 10);
  }
}

constexpr double rate = 0.05f;

}  // namespace

TEST_CASE("optimiser: Adam follows the paper, with rates, decay and clipping by norm") {
  const kernels::Adam how{0.8f, 0.95f, 1e-6f};
  compare_ten_updates({.method = how}, [&](Reference& a, Reference& b) {
    a.adam(towards(a.x, 2), how, rate, 0);
    b.adam(towards(b.x, 2), how, 2 * rate, 0.25f);
  });
  compare_ten_updates({.method = how, .clip = {1.5f}}, [&](Reference& a, Reference& b) {
    std::vector<double> ga = towards(a.x, 2), gb = towards(b.x, 2);
    const double scale = std::min(1.0, 1.5 / norm({ga, gb}));
    for (double& g : ga)
      g *= scale;
    for (double& g : gb)
      g *= scale;
    a.adam(ga, how, rate, 0);
    b.adam(gb, how, 2 * rate, 0.25f);
  });
}

TEST_CASE("optimiser: RMSProp and descent with momentum follow their formulas") {
  const kernels::RmsProp rms_prop{0.9f, 1e-6f};
  const kernels::Sgd sgd{0.7f};
  const auto follow = [](const auto& step_of) {
    return [&step_of](Reference& a, Reference& b) {
      const std::vector<double> decayed = b.x;
      step_of(a, rate);
      step_of(b, 2 * rate);
      for (std::size_t i = 0; i < b.x.size(); ++i)
        b.x[i] -= 2 * rate * 0.25f * decayed[i];
    };
  };
  const auto by_rms_prop = [&](Reference& r, double rate) {
    r.rms_prop(towards(r.x, 2), rms_prop, rate);
  };
  const auto by_sgd = [&](Reference& r, double rate) { r.sgd(towards(r.x, 2), sgd, rate); };
  const auto by_descent = [&](Reference& r, double rate) { r.sgd(towards(r.x, 2), {}, rate); };
  compare_ten_updates({.method = rms_prop}, follow(by_rms_prop));
  compare_ten_updates({.method = sgd}, follow(by_sgd));
  compare_ten_updates({.method = kernels::Sgd{}}, follow(by_descent));
}

TEST_CASE("optimiser: micro-batches add up to the whole batch, weights bit for bit") {
  // A power of two of rows, so that dividing by their number commutes with every rounding.
  const Tensor x = normals("x", {16, 6}), y = normals("y", {16, 3});
  const auto gradients_of = [&](int micro_batches) {
    Mlp mlp(6, 8, 3);
    mlp.initialise(9);
    Parameters parameters(mlp);
    Optimiser optimiser(parameters, {.accumulate = micro_batches});
    Tensor step = step_at(0);
    const std::int64_t rows = 16 / micro_batches;
    const Tensor loss = optimiser.update(step, [&](int micro) {
      const Variable in(x.slice(0, micro * rows, (micro + 1) * rows));
      const Variable out(y.slice(0, micro * rows, (micro + 1) * rows));
      return sum(square(mlp(in) - out)) / 16.0;
    });
    CHECK(loss.item<float>() == read_step_state(step).loss);
    std::vector<std::vector<double>> found{doubles(loss)};
    for (const Parameters::Entry& entry : parameters.entries())
      found.push_back(doubles(Parameters::slice(parameters.gradients(), entry)));
    return found;  // loss, hidden.weight, hidden.bias, out.weight, out.bias
  };
  const auto whole = gradients_of(1);
  for (const int micro_batches : {2, 4}) {
    const auto parts = gradients_of(micro_batches);
    CHECK(parts[1] == whole[1]);
    CHECK(parts[3] == whole[3]);
    for (std::size_t i = 0; i < whole.size(); ++i)
      check_close(parts[i], whole[i], 1e-6);
  }
}

TEST_CASE("optimiser: before_update sees every element once, in order, and may change it") {
  struct Wide : Module {
    Wide() : w(add("w", Parameter({1000, 700}, zeros()))) { initialise(1); }
    Parameter w;
  } wide;
  Parameters parameters(wide);
  Optimiser optimiser(parameters, {.method = kernels::Sgd{}});
  const Tensor slopes = normals("slopes", {1000, 700});
  std::vector<double> seen;
  std::vector<std::int64_t> sizes;
  optimiser.before_update([&](Tensor segment) {
    sizes.push_back(segment.numel());
    const std::vector<double> values = doubles(segment);
    seen.insert(seen.end(), values.begin(), values.end());
    kernels::copy_into(segment, (Variable(segment) * 2.0).value());
  });
  Tensor step = step_at(1);
  optimiser.update(step, [&](int) { return sum(wide.w() * slopes); });
  CHECK(sizes == std::vector<std::int64_t>{1 << 18, 1 << 18, 700000 - (1 << 19)});
  CHECK(seen == doubles(slopes));
  CHECK(doubles(wide.w.value()) == doubles((Variable(slopes) * -2.0).value()));
}

TEST_CASE("optimiser: several networks in one run, and only one's parameters change") {
  Mlp generator(2, 4, 3), critic(3, 4, 1);
  generator.initialise(1, "generator");
  critic.initialise(1, "critic");
  Parameters of_generator(generator), of_critic(critic);
  Optimiser train_generator(of_generator, {}), train_critic(of_critic, {});
  Tensor step = step_at(0.01);
  const Variable z(normals("z", {8, 2}));

  const std::vector<double> g0 = doubles(of_generator.values()), c0 = doubles(of_critic.values());
  train_critic.update(step, [&](int) {
    generator.freeze();
    return mean(square(critic(generator(z))));
  });
  generator.freeze(false);
  CHECK(doubles(of_generator.values()) == g0);
  CHECK(doubles(of_generator.gradients()) == std::vector<double>(g0.size()));
  const std::vector<double> c1 = doubles(of_critic.values()),
                            slopes = doubles(of_critic.gradients());
  CHECK(c1 != c0);
  CHECK(read_step_state(step).update == 1);

  critic.freeze();
  train_generator.update(step, [&](int) { return mean(critic(generator(z))); });
  critic.freeze(false);
  CHECK(doubles(of_critic.values()) == c1);
  CHECK(doubles(of_critic.gradients()) == slopes);
  CHECK(doubles(of_generator.values()) != g0);
  CHECK(read_step_state(step).update == 2);
  CHECK(train_generator.state().count.item<std::int64_t>() == 1);
  CHECK(train_critic.state().count.item<std::int64_t>() == 1);
}

TEST_CASE("optimiser: a frozen parameter stays as it is, momentum and decay or not") {
  Bowl bowl;
  Parameters parameters(bowl, {}, [](const std::string&, const Shape&) { return Group{1, 0.5f}; });
  Optimiser optimiser(parameters, {});
  Tensor step = step_at(0.1);
  const auto update = [&] { optimiser.update(step, [&](int) { return bowl.loss(); }); };
  update();
  const std::vector<double> a = doubles(bowl.a.value()), b = doubles(bowl.b.value());
  bowl.b.freeze(true);
  update();
  CHECK(doubles(bowl.b.value()) == b);
  CHECK(doubles(bowl.a.value()) != a);
  bowl.b.freeze(false);
  update();
  CHECK(doubles(bowl.b.value()) != b);
}

TEST_CASE("optimiser: a parameter that the loss does not reach is not moved by an old gradient") {
  Bowl bowl;
  Parameters parameters(bowl);
  Optimiser optimiser(parameters, {.method = kernels::Sgd{}});
  Tensor step = step_at(0.1);
  optimiser.update(step, [&](int) { return bowl.loss(); });
  const std::vector<double> b = doubles(bowl.b.value());
  optimiser.update(step, [&](int) { return sum(square(bowl.a())); });
  CHECK(doubles(bowl.b.value()) == b);
}

TEST_CASE("optimiser: the average of the parameters warms up, and a module computes with it") {
  Bowl bowl;
  Parameters parameters(bowl);
  const double decay = 0.5f;
  Optimiser optimiser(parameters, {.average_decay = 0.5f});
  Tensor step = step_at(0.1);
  std::vector<double> expected = doubles(parameters.values());
  CHECK(doubles(optimiser.average()) == expected);
  for (int count = 1; count <= 12; ++count) {
    optimiser.update(step, [&](int) { return bowl.loss(); });
    const std::vector<double> values = doubles(parameters.values());
    const double d = std::min(decay, (1.0 + count) / (10.0 + count));
    for (std::size_t i = 0; i < values.size(); ++i)
      expected[i] = d * expected[i] + (1 - d) * values[i];
    check_close(doubles(optimiser.average()), expected, 1e-6);
  }
  const std::vector<double> trained = doubles(bowl.a.value());
  parameters.rebase(optimiser.average());
  check_close(doubles(bowl.a.value()), {expected.begin(), expected.begin() + 15}, 1e-6);
  parameters.rebase(parameters.values());
  CHECK(doubles(bowl.a.value()) == trained);
}

TEST_CASE("optimiser: a bound clamps every value after the update, and nothing under the flag") {
  for (const Method& method : {Method(kernels::Adam{}), Method(kernels::RmsProp{})}) {
    Bowl bowl;
    Parameters parameters(bowl);
    Optimiser free(parameters, {.method = method});
    Tensor step = step_at(0.3);
    free.update(step, [&](int) { return bowl.loss(); });
    const std::vector<double> before = doubles(parameters.values());
    Optimiser bounded(parameters, {.method = method, .bound = 0.5f});
    bounded.update(step, [&](int) { return bowl.loss() * std::nan(""); });
    CHECK(doubles(parameters.values()) == before);
    step = step_at(0.3);
    bounded.update(step, [&](int) { return bowl.loss(); });
    bool clamped = false;
    for (const double value : doubles(parameters.values())) {
      CHECK(std::abs(value) <= 0.5);
      clamped = clamped || std::abs(value) == 0.5;
    }
    CHECK(clamped);
  }
}

TEST_CASE("optimiser: what would overflow stops the update and is named") {
  Bowl bowl;
  Parameters parameters(bowl);
  Optimiser adam(parameters, {});
  Tensor step = step_at(0.1);
  adam.update(step, [&](int) { return bowl.loss(); });
  const std::vector<double> values = doubles(parameters.values()),
                            second = doubles(adam.state().second);
  adam.update(step, [&](int) { return sum(bowl.b()) * 1e21 + sum(bowl.a()); });
  StepState found = read_step_state(step);
  CHECK(found.non_finite == kernels::flag::too_large);
  CHECK(doubles(parameters.values()) == values);
  CHECK(doubles(adam.state().second) == second);
  const double norm = 1e21 * std::sqrt(static_cast<double>(bowl.b.value().numel()));
  CHECK(adam.too_large(found) ==
        fmt::format("the norm of its gradient is {:.3g}, the largest element, 1e+21, is of b: "
                    "Adam's second moment, of squares, overflows above 4.6e+18",
                    norm));
  step = step_at(1e38);
  adam.update(step, [&](int) { return bowl.loss(); });
  found = read_step_state(step);
  CHECK(found.non_finite == kernels::flag::too_large);
  CHECK(doubles(parameters.values()) == values);
  CHECK(adam.too_large(found) ==
        "under the rate 1e+38 parameters could overflow: Adam takes 1.1e+27 at most");
  // Clipped, it is an update like others.
  Optimiser clipped(parameters, {.clip = {1}});
  step = step_at(0.1);
  clipped.update(step, [&](int) { return sum(bowl.b()) * 1e21; });
  CHECK(read_step_state(step).non_finite == 0);
  CHECK(doubles(bowl.b.value())[0] == doctest::Approx(values[15] - 0.1).epsilon(0.5));
}

TEST_CASE("optimiser: running statistics that are not finite stop the update, though its loss is") {
  struct Net : Module {
    Net() : norm(2), other(2) { add("norm", norm), add("other", other); }
    BatchNorm norm, other;
  } net;
  net.initialise(1);
  Parameters parameters(net);
  Optimiser optimiser(parameters, {.method = kernels::Sgd{}});
  Tensor step = step_at(0.1);
  const auto update = [&](double size) {
    const Variable x = normals("x", {8, 2}), large = x * size;
    optimiser.update(step, [&](int) { return sum(square(net.other(x))) + sum(net.norm(large)); });
  };
  update(1);
  CHECK(read_step_state(step).non_finite == 0);
  const std::vector<double> before = doubles(parameters.values()),
                            mean = doubles(net.other.running_mean.value());
  update(1e25);
  CHECK(read_step_state(step).loss < 1e3);
  CHECK(read_step_state(step).non_finite == kernels::flag::buffer);
  CHECK(doubles(parameters.values()) == before);
  CHECK(doubles(net.other.running_mean.value()) == mean);
  for (const double value : doubles(net.norm.running_variance.value()))
    CHECK(std::isfinite(value));
}
