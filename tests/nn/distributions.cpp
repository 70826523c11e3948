#include "nn/distributions.h"

#include <doctest/doctest.h>

#include <map>
#include <numbers>

#include "tests/nn/networks.h"

using namespace likely;

namespace {

const std::vector<double> logits{-30, -3, -0.5, 0, 0.25, 2, 25};
const std::vector<double> other_logits{-28, 1, -0.5, 0.75, -4, 2.5, 20};

Variable f64(const std::vector<double>& values) {
  return tensor({static_cast<std::int64_t>(values.size())}, values, DType::f64);
}

double sigmoid_of(double l) { return 1 / (1 + std::exp(-l)); }

Draw draw_of(const std::string& name) {
  return {make_step_state({}), purpose_hash("tests/" + name), 0};
}

// Σ p log(p / q) and -Σ p log p over the classes of a row.
double kl_by_enumeration(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i)
    sum += p[i] * std::log(p[i] / q[i]);
  return sum;
}
double entropy_by_enumeration(const std::vector<double>& p) {
  double sum = 0;
  for (const double each : p)
    sum -= each * std::log(each);
  return sum;
}

std::vector<double> softmax_of(const double* l, std::size_t classes) {
  std::vector<double> p(l, l + classes);
  double total = 0;
  for (double& each : p)
    total += each = std::exp(each);
  for (double& each : p)
    each /= total;
  return p;
}

double normal_log_density(double x, double mean, double log_variance) {
  return -0.5 * (std::log(2 * std::numbers::pi) + log_variance +
                 std::pow(x - mean, 2) / std::exp(log_variance));
}

double normal_kl_of(double m, double lv, double n, double lw) {
  return 0.5 * (lw - lv + (std::exp(lv) + (m - n) * (m - n)) / std::exp(lw) - 1);
}

}  // namespace

TEST_CASE("bernoulli: log_prob, entropy and kl by enumeration") {
  const Bernoulli p(f64(logits)), q(f64(other_logits));
  const std::vector<double> ones = doubles(p.log_prob(f64(std::vector<double>(7, 1))).value());
  const std::vector<double> zeros = doubles(p.log_prob(f64(std::vector<double>(7, 0))).value());
  const std::vector<double> entropy = doubles(p.entropy().value());
  const std::vector<double> kl = doubles(p.kl(q).value());
  const std::vector<double> probability = doubles(p.probability().value());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double l = logits[i], m = other_logits[i];
    CHECK(probability[i] == doctest::Approx(sigmoid_of(l)).epsilon(1e-14));
    CHECK(ones[i] == doctest::Approx(-std::log1p(std::exp(-l))).epsilon(1e-13));
    CHECK(zeros[i] == doctest::Approx(-std::log1p(std::exp(l))).epsilon(1e-13));
    // The probabilities of both outcomes separately: 1 - p would round the small one away.
    const std::vector<double> both{sigmoid_of(l), sigmoid_of(-l)};
    CHECK(entropy[i] == doctest::Approx(entropy_by_enumeration(both)).epsilon(1e-13));
    CHECK(std::abs(kl[i] - kl_by_enumeration(both, {sigmoid_of(m), sigmoid_of(-m)})) <
          1e-15 + 1e-12 * std::abs(kl[i]));
    CHECK(kl[i] >= 0);
  }
  CHECK(doubles(p.kl(p).value()) == std::vector<double>(7, 0));
}

TEST_CASE("bernoulli: far logits are finite in f32") {
  const Variable far(tensor({4}, {-200, -90, 90, 200})), near(tensor({4}, {200, 1, -1, -200}));
  for (const double value : doubles(Bernoulli(far).entropy().value()))
    CHECK((value >= 0 && value < 1e-30));
  const std::vector<double> kl = doubles(Bernoulli(far).kl(Bernoulli(near)).value());
  CHECK(kl[0] == doctest::Approx(200));
  CHECK(kl[1] == doctest::Approx(std::log1p(std::exp(1))));
  CHECK(kl[2] == doctest::Approx(std::log1p(std::exp(1))));
  CHECK(kl[3] == doctest::Approx(200));
}

TEST_CASE("normal: log_prob, entropy and kl are the closed forms") {
  const std::vector<double> mean{0, 1, -2, 3}, log_variance{0, -3, 1, 2}, x{0, 0.5, -4, 9},
      other_mean{0, 1.5, -2, -1}, other_log_variance{0, -1, 0.5, 2};
  const Normal p(f64(mean), f64(log_variance)), q(f64(other_mean), f64(other_log_variance));
  const std::vector<double> log_prob = doubles(p.log_prob(f64(x)).value());
  const std::vector<double> entropy = doubles(p.entropy().value());
  const std::vector<double> kl = doubles(p.kl(q).value());
  const std::vector<double> standard = doubles(p.kl_to_standard().value());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(log_prob[i] ==
          doctest::Approx(normal_log_density(x[i], mean[i], log_variance[i])).epsilon(1e-14));
    CHECK(entropy[i] == doctest::Approx(0.5 * (std::log(2 * std::numbers::pi * std::numbers::e) +
                                               log_variance[i]))
                            .epsilon(1e-14));
    CHECK(std::abs(kl[i] - normal_kl_of(mean[i], log_variance[i], other_mean[i],
                                        other_log_variance[i])) < 1e-13);
    CHECK(std::abs(standard[i] - normal_kl_of(mean[i], log_variance[i], 0, 0)) < 1e-13);
    CHECK(kl[i] >= 0);
  }
  CHECK(doubles(p.kl(p).value()) == std::vector<double>(4, 0));
}

TEST_CASE("normal: entropy and kl by integration of the density") {
  const double m = 0.4, lv = -0.7, n = -0.2, lw = 0.3, h = 1e-3;
  double entropy = 0, kl = 0;
  for (double x = -12; x < 12; x += h) {
    const double log_p = normal_log_density(x, m, lv), density = std::exp(log_p);
    entropy -= h * density * log_p;
    kl += h * density * (log_p - normal_log_density(x, n, lw));
  }
  const Normal p(f64({m}), f64({lv})), q(f64({n}), f64({lw}));
  CHECK(p.entropy().value().item<double>() == doctest::Approx(entropy).epsilon(1e-10));
  CHECK(p.kl(q).value().item<double>() == doctest::Approx(kl).epsilon(1e-10));
}

TEST_CASE("kl: near 0 it is half the squared distance in f32, and never negative") {
  for (double d = 1e-6; d < 1; d *= 1.1)
    for (const double shift : {-d, d}) {
      const Variable zero(tensor({1}, {0})), by(tensor({1}, {shift}));
      const double exact = doubles(by.value())[0];
      // ½ (e^d - 1 - d), by its series where that cancels in a double too.
      const double normal =
          std::abs(exact) > 1e-2
              ? (std::expm1(exact) - exact) / 2
              : exact * exact / 4 * (1 + exact / 3 * (1 + exact / 4 * (1 + exact / 5)));
      CHECK(doubles(Normal(zero, by).kl_to_standard().value())[0] ==
            doctest::Approx(normal).epsilon(4e-6));
      CHECK(doubles(Normal(zero, by).kl(Normal(zero, zero)).value())[0] ==
            doctest::Approx(normal).epsilon(4e-6));
      const Variable other = Variable(tensor({1}, {0.5}));
      const double bernoulli = doubles(Bernoulli(other).kl(Bernoulli(other + by)).value())[0];
      const double p = 1 / (1 + std::exp(-0.5));
      CHECK(bernoulli >= 0);
      CHECK(std::abs(bernoulli - p * (1 - p) * exact * exact / 2) <
            exact * exact * (std::abs(exact) / 20 + 1e-2) + 3e-7 * std::abs(exact));
      const Variable row(tensor({1, 3}, {0.3, -1, 0.9})),
          moved(tensor({1, 3}, {0.3 + d, -1, 0.9 - d}));
      CHECK(doubles(Categorical(row).kl(Categorical(moved)).value())[0] >= 0);
    }
  const Variable at(tensor({1}, {-1e-4})), zero(tensor({1}, {0}));
  CHECK(doubles(standard_normal_kl(zero, at).value())[0] ==
        doctest::Approx(2.49992e-9).epsilon(1e-5));
  const Variable leaf = Variable::leaf(tensor({1}, {-1e-4}));
  CHECK(doubles(gradients(standard_normal_kl(zero, leaf), {leaf}, zero + 1.0)[0].value())[0] ==
        doctest::Approx(0.5 * std::expm1(-1e-4)).epsilon(1e-6));
}

TEST_CASE("normal: mean and variance broadcast") {
  const Normal shared(Variable(normals("mean", {6, 3})), Variable(tensor({}, {-1})));
  CHECK(shared.entropy().shape() == Shape{6, 3});
  CHECK(shared.sample(draw_of("broadcast")).shape() == Shape{6, 3});
  const Normal rows(Variable(tensor({3}, {0, 1, 2})), Variable(normals("spread", {4, 3})));
  CHECK(rows.kl_to_standard().shape() == Shape{4, 3});
  CHECK(rows.sample(draw_of("broadcast")).shape() == Shape{4, 3});
}

TEST_CASE("categorical: log_prob, entropy and kl by enumeration") {
  const std::vector<double> l{0, 1, 2, -1, 3, 3, 3, 3, -9, 0, 8, 1},
      m{1, 1, 0, 0, 3, 3, 3, 3, 0, 0, 1, 1};
  const Categorical p(tensor({3, 4}, l, DType::f64)), q(tensor({3, 4}, m, DType::f64));
  const Tensor index = Tensor::of<std::int64_t>({3}, std::vector<std::int64_t>{2, 0, 3});
  const std::vector<double> log_prob = doubles(p.log_prob(index).value());
  const std::vector<double> entropy = doubles(p.entropy().value()), kl = doubles(p.kl(q).value());
  const std::size_t chosen[] = {2, 0, 3};
  for (std::size_t row = 0; row < 3; ++row) {
    const std::vector<double> a = softmax_of(&l[4 * row], 4), b = softmax_of(&m[4 * row], 4);
    CHECK(log_prob[row] == doctest::Approx(std::log(a[chosen[row]])).epsilon(1e-13));
    CHECK(entropy[row] == doctest::Approx(entropy_by_enumeration(a)).epsilon(1e-13));
    CHECK(std::abs(kl[row] - kl_by_enumeration(a, b)) < 1e-13);
  }
  CHECK(doubles(p.kl(p).value()) == std::vector<double>(3, 0));
  CHECK(entropy[1] == doctest::Approx(std::log(4)));
}

namespace {

// The mass of one cell of a logistic, of values 0 to levels - 1 that stand for -1 to 1.
double cell(std::int64_t value, std::int64_t levels, double mean, double log_scale) {
  const double half = 1.0 / static_cast<double>(levels - 1),
               x = 2 * static_cast<double>(value) * half - 1;
  const auto below = [&](double edge) { return sigmoid_of((edge - mean) / std::exp(log_scale)); };
  const double low = value == 0 ? 0 : below(x - half),
               high = value == levels - 1 ? 1 : below(x + half);
  // The upper tail from above, where 1 - 1 would be left of it.
  return x > mean && value > 0 && value < levels - 1
             ? sigmoid_of((mean - x + half) / std::exp(log_scale)) -
                   sigmoid_of((mean - x - half) / std::exp(log_scale))
             : high - low;
}

}  // namespace

TEST_CASE("discretised logistic mixture: log_prob is equations 2 and 3 of Salimans et al.") {
  const std::int64_t levels = 256, channels = 3, k = 2;
  const Tensor parameters = normals("mixture", {5, 10 * k}, DType::f64);
  const std::vector<double> p = doubles(parameters);
  const std::vector<std::int64_t> pixels{0, 17,  255, 128, 127, 129, 255, 0,
                                         3, 254, 1,   200, 90,  100, 110};
  std::vector<double> x;
  for (const std::int64_t value : pixels)
    x.push_back(static_cast<double>(value) / 255);
  const DiscretisedLogisticMixture mixture(Variable(parameters), channels, levels);
  const std::vector<double> found =
      doubles(mixture.log_prob(tensor({5, channels}, x, DType::f64)).value());
  for (std::size_t n = 0; n < 5; ++n) {
    // Components lie next to each other: logits, means of R G B, log scales, then what G leans on
    // R, B on R, B on G.
    const auto of = [&](std::size_t part, std::size_t j) { return p[n * 20 + part * 2 + j]; };
    const double r = 2 * x[3 * n] - 1, g = 2 * x[3 * n + 1] - 1;
    double total = 0;
    for (std::size_t j = 0; j < 2; ++j) {
      const double weight = std::exp(of(0, j)) / (std::exp(of(0, 0)) + std::exp(of(0, 1)));
      const double means[] = {of(1, j), of(2, j) + std::tanh(of(7, j)) * r,
                              of(3, j) + std::tanh(of(8, j)) * r + std::tanh(of(9, j)) * g};
      double product = weight;
      for (std::size_t c = 0; c < 3; ++c)
        product *= cell(pixels[3 * n + c], levels, means[c], of(4 + c, j));
      total += product;
    }
    CHECK(found[n] == doctest::Approx(std::log(total)).epsilon(1e-9));
  }
}

TEST_CASE("discretised logistic mixture: the 256 values of a channel have probabilities of sum 1") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const double bar = dtype == DType::f64 ? 1e-12 : 1e-4;
    // Scales from far below a cell to far above the range; means inside and outside.
    Variable parameters(normals("sharp", {40, 10 * 3}, dtype));
    parameters = parameters * 3.0;
    const DiscretisedLogisticMixture mixture(parameters, 3, 256);
    const Tensor x =
        kernels::cast(kernels::bernoulli(kernels::full({40, 3}, 0.5), draw_of("x")), dtype);
    for (std::int64_t c = 0; c < 3; ++c) {
      const Variable log_probabilities = mixture.log_probabilities(x, c);
      CHECK(log_probabilities.shape() == Shape{40, 256});
      for (const double total : doubles(sum(exp(log_probabilities), {1}).value()))
        CHECK(std::abs(total - 1) < bar);
    }
  }
}

TEST_CASE("discretised logistic mixture: far from every mean, log_prob is finite in f32") {
  const Variable parameters(tensor({2, 3}, {0, -300, -9, 0, 300, -9}));
  for (const double at : {0.0, 0.25, 1.0})
    for (const double value : doubles(DiscretisedLogisticMixture(parameters, 1, 256)
                                          .log_prob(Variable(kernels::full({2, 1}, at)))
                                          .value()))
      CHECK((std::isfinite(value) && value <= 0));
}

TEST_CASE("discretised logistic mixture: samples have its probabilities within four sigma") {
  const std::int64_t n = 100000, levels = 4;
  const Variable one(normals("few levels", {1, 10 * 2}));
  const DiscretisedLogisticMixture mixture(expand(one, {n, 20}), 3, levels), row(one, 3, levels);
  const std::vector<double> drawn = doubles(mixture.sample(draw_of("which"), draw_of("what")));
  std::map<std::vector<double>, double> counts;
  for (std::size_t i = 0; i < drawn.size(); i += 3)
    counts[{drawn[i], drawn[i + 1], drawn[i + 2]}] += 1;
  double total = 0;
  for (std::int64_t pixel = 0; pixel < 64; ++pixel) {
    std::vector<float> x;
    for (const std::int64_t level : {pixel / 16, pixel / 4 % 4, pixel % 4})
      x.push_back(static_cast<float>(level) / 3);
    const double p = std::exp(row.log_prob(Tensor::of({1, 3}, x)).value().item<double>());
    CHECK(std::abs(counts[{x[0], x[1], x[2]}] / n - p) < 4 * std::sqrt(p * (1 - p) / n) + 1e-5);
    total += counts[{x[0], x[1], x[2]}];
  }
  CHECK(total == n);  // and nothing else
}

TEST_CASE("distributions: samples have the frequencies of the model within four sigma") {
  const std::int64_t n = 100000;
  const double p = 0.3;
  const Bernoulli coin(Variable(kernels::full({n}, std::log(p / (1 - p)))));
  double heads = 0, others = 0;
  for (const double x : doubles(coin.sample(draw_of("coin")))) {
    heads += x == 1;
    others += x != 0 && x != 1;
  }
  CHECK(others == 0);
  CHECK(std::abs(heads / n - p) < 4 * std::sqrt(p * (1 - p) / n));

  const std::vector<double> l{0.5, -1, 2, 0}, expected = softmax_of(l.data(), 4);
  const Categorical die(expand(Variable(tensor({1, 4}, l)), {n, 4}));
  const Tensor rolled = die.sample(draw_of("die"));
  CHECK(rolled.dtype() == DType::i64);
  CHECK(rolled.shape() == Shape{n});
  std::map<std::int64_t, double> counts;
  for (const std::int64_t face : rolled.to_vector<std::int64_t>())
    ++counts[face];
  CHECK(counts.size() == 4);
  for (std::size_t face = 0; face < 4; ++face)
    CHECK(std::abs(counts[static_cast<std::int64_t>(face)] / n - expected[face]) <
          4 * std::sqrt(expected[face] * (1 - expected[face]) / n));

  const double mean = 1.5, variance = 4;
  const Normal normal(Variable(kernels::full({n}, mean)),
                      Variable(kernels::full({n}, std::log(variance))));
  const std::vector<double> values = doubles(normal.sample(draw_of("normal")).value());
  double first = 0, second = 0;
  for (const double x : values) {
    first += x / n;
    second += (x - mean) * (x - mean) / n;
  }
  CHECK(std::abs(first - mean) < 4 * std::sqrt(variance / n));
  CHECK(std::abs(second - variance) < 4 * variance * std::sqrt(2.0 / n));
}

TEST_CASE("distributions: gradients agree with central differences") {
  const Tensor l = normals("l", {3, 4}, DType::f64), m = normals("m", {3, 4}, DType::f64),
               n = normals("n", {3, 4}, DType::f64), o = normals("o", {3, 4}, DType::f64);
  const Variable weight(normals("weight", {3, 4}, DType::f64));
  const Variable row_weight(normals("row weight", {3}, DType::f64));
  const Variable noise(normals("noise", {3, 4}, DType::f64));
  const Tensor index = Tensor::of<std::int64_t>({3}, std::vector<std::int64_t>{3, 0, 3});
  const auto error = [](const Tensors& at, const auto& f) { return worst_gradient_error(at, f); };

  const Variable x(kernels::bernoulli(kernels::full({3, 4}, 0.5, DType::f64), draw_of("x")));
  CHECK(error({l}, [&](const Variables& v) { return sum(weight * Bernoulli(v[0]).log_prob(x)); }) <
        1e-7);
  CHECK(error({l}, [&](const Variables& v) { return sum(weight * Bernoulli(v[0]).entropy()); }) <
        1e-7);
  CHECK(error({l, m}, [&](const Variables& v) {
          return sum(weight * Bernoulli(v[0]).kl(Bernoulli(v[1])));
        }) < 1e-7);
  CHECK(error({l, m, n}, [&](const Variables& v) {
          return sum(weight * Normal(v[0], v[1]).log_prob(v[2]));
        }) < 1e-7);
  CHECK(error({l, m}, [&](const Variables& v) {
          return sum(weight * Normal(v[0], v[1]).entropy());
        }) < 1e-7);
  CHECK(error({l, m, n, o}, [&](const Variables& v) {
          return sum(weight * Normal(v[0], v[1]).kl(Normal(v[2], v[3])));
        }) < 1e-7);
  CHECK(error({l, m}, [&](const Variables& v) {
          return sum(weight * Normal(v[0], v[1]).kl_to_standard());
        }) < 1e-7);
  CHECK(error({l, m}, [&](const Variables& v) {
          return sum(weight * Normal(v[0], v[1]).sample(noise));
        }) < 1e-7);
  CHECK(error({l}, [&](const Variables& v) {
          return sum(row_weight * Categorical(v[0]).log_prob(index));
        }) < 1e-7);
  const Tensor parameters = normals("parameters", {3, 20}, DType::f64);
  const Variable pixels(tensor({3, 3}, {0, 0.2, 1, 0.4, 1, 0, 0.6, 0.8, 0.2}, DType::f64));
  CHECK(error({parameters}, [&](const Variables& v) {
          return sum(row_weight * DiscretisedLogisticMixture(v[0], 3, 6).log_prob(pixels));
        }) < 1e-7);
  CHECK(error({l}, [&](const Variables& v) {
          return sum(row_weight * Categorical(v[0]).entropy());
        }) < 1e-7);
  CHECK(error({l, m}, [&](const Variables& v) {
          return sum(row_weight * Categorical(v[0]).kl(Categorical(v[1])));
        }) < 1e-7);
}

TEST_CASE("distributions: samples carry a gradient only where they are reparameterised") {
  const Variable mean = Variable::leaf(normals("leaf", {3, 4}));
  CHECK(Normal(mean, mean).sample(draw_of("carry")).wants_gradient());
  CHECK(Categorical(mean).sample(draw_of("carry")).dtype() == DType::i64);
}
