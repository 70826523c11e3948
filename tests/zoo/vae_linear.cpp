// A linear-Gaussian VAE has everything in closed form: x = W z + µ + σ ε.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <numbers>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "nn/initialise.h"
#include "zoo/models/vae.h"

using namespace likely;

namespace {

constexpr double log_two_pi = 1.8378770664093453;
using Matrix = std::vector<std::vector<double>>;

// q(z | x) = N(A (x - µ), diag v); p(x | z) = N(W z + µ, σ²).
class LinearGaussian : public LatentVariableModel {
 public:
  Variable w, mu, log_variance, a, q_log_variance;  // [d, l], [d], [], [l, d], [l]

  Normal encode(const Variable& x) const override {
    const Variable mean = linear(x - mu, a, none);
    return {mean, expand(q_log_variance, mean.shape())};
  }
  Variable log_prob_given(const Variable& x, const Variable& z) const override {
    return sum(normal_log_prob(x, linear(z, w, mu), log_variance), {-1});
  }
};

Matrix orthogonal_columns() {  // norms 2.5, 1.5, 0.5 in five dimensions
  const double s = 1 / std::sqrt(2.0);
  return {{2.5 * s, 0, 0}, {2.5 * s, 0, 0}, {0, 1.5, 0}, {0, 0, 0.5 * s}, {0, 0, -0.5 * s}};
}

Matrix rotated(const Matrix& w, double angle) {  // in the plane of the first two latents
  Matrix result = w;
  for (auto& row : result) {
    const double x = row[0], y = row[1];
    row[0] = std::cos(angle) * x - std::sin(angle) * y;
    row[1] = std::sin(angle) * x + std::cos(angle) * y;
  }
  return result;
}

Matrix times_transposed(const Matrix& w) {  // Wᵀ W
  const std::size_t l = w[0].size();
  Matrix m(l, std::vector<double>(l));
  for (std::size_t i = 0; i < l; ++i)
    for (std::size_t j = 0; j < l; ++j)
      for (const auto& row : w)
        m[i][j] += row[i] * row[j];
  return m;
}

// Gauss–Jordan; returns the inverse and the logarithm of the determinant.
std::pair<Matrix, double> inverse(Matrix m) {
  const std::size_t n = m.size();
  Matrix r(n, std::vector<double>(n));
  double log_determinant = 0;
  for (std::size_t i = 0; i < n; ++i)
    r[i][i] = 1;
  for (std::size_t i = 0; i < n; ++i) {
    const double pivot = m[i][i];
    log_determinant += std::log(pivot);
    for (std::size_t j = 0; j < n; ++j)
      m[i][j] /= pivot, r[i][j] /= pivot;
    for (std::size_t k = 0; k < n; ++k) {
      if (k == i)
        continue;
      const double f = m[k][i];
      for (std::size_t j = 0; j < n; ++j)
        m[k][j] -= f * m[i][j], r[k][j] -= f * r[i][j];
    }
  }
  return {r, log_determinant};
}

Variable tensor_of(const Matrix& m, DType dtype) {
  std::vector<double> flat;
  for (const auto& row : m)
    flat.insert(flat.end(), row.begin(), row.end());
  const Shape shape{static_cast<std::int64_t>(m.size()), static_cast<std::int64_t>(m[0].size())};
  return kernels::cast(Tensor::of(shape, flat), dtype);
}

Variable tensor_of(const std::vector<double>& v, DType dtype) {
  return kernels::cast(Tensor::of({static_cast<std::int64_t>(v.size())}, v), dtype);
}

const std::vector<double> centre{0.3, -1, 0.5, 2, 0};
constexpr double sigma = 0.7;

// The best encoder for W: A = M⁻¹ Wᵀ, v_j = σ² / M_jj with M = Wᵀ W + σ² I.
LinearGaussian best_for(const Matrix& w, DType dtype) {
  Matrix m = times_transposed(w);
  for (std::size_t j = 0; j < m.size(); ++j)
    m[j][j] += sigma * sigma;
  const Matrix inv = inverse(m).first;
  Matrix a(m.size(), std::vector<double>(w.size()));
  std::vector<double> v;
  for (std::size_t j = 0; j < m.size(); ++j) {
    for (std::size_t i = 0; i < w.size(); ++i)
      for (std::size_t k = 0; k < m.size(); ++k)
        a[j][i] += inv[j][k] * w[i][k];
    v.push_back(std::log(sigma * sigma / m[j][j]));
  }
  LinearGaussian model;
  model.w = tensor_of(w, dtype);
  model.mu = tensor_of(centre, dtype);
  model.log_variance = kernels::full({}, 2 * std::log(sigma), dtype);
  model.a = tensor_of(a, dtype);
  model.q_log_variance = tensor_of(v, dtype);
  return model;
}

// log N(x; µ, W Wᵀ + σ² I) by the covariance's inverse: independent of how the model is written.
double exact(const std::vector<double>& x, const Matrix& w) {
  const std::size_t d = w.size();
  Matrix c(d, std::vector<double>(d));
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      for (std::size_t k = 0; k < w[0].size(); ++k)
        c[i][j] += w[i][k] * w[j][k];
      if (i == j)
        c[i][j] += sigma * sigma;
    }
  const auto [inv, log_determinant] = inverse(c);
  double quadratic = 0;
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j)
      quadratic += (x[i] - centre[i]) * inv[i][j] * (x[j] - centre[j]);
  return -0.5 * (static_cast<double>(d) * log_two_pi + log_determinant + quadratic);
}

const Matrix points{{0, 0, 0, 0, 0}, {1, -2, 0.5, 3, 1}, {-4, 2, 2, 1, -1}, {0.3, -1, 0.5, 2, 0}};

void every_weight_is_the_likelihood(DType dtype, double tolerance) {
  const Matrix w = orthogonal_columns();
  const LinearGaussian model = best_for(w, dtype);
  const Variable x = tensor_of(points, dtype);
  Random random(make_step_state({.seed = 3}));
  const auto noise = [&](const Shape& shape) -> Variable {
    return kernels::normal(shape, random.draw("test"), dtype);
  };
  const Weighted weighted = importance_weights(model, model.encode(x), x, noise({4, 7, 3}));
  const std::vector<double> weights = kernels::to_doubles(weighted.log_weight.value());
  const std::vector<double> bounds =
      kernels::to_doubles(importance_bound(weighted.log_weight).value());
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double truth = exact(points[i], w);
    CHECK(std::abs(bounds[i] - truth) < tolerance);
    for (std::size_t k = 0; k < 7; ++k)
      CHECK(std::abs(weights[7 * i + k] - truth) < tolerance);
  }
  const Elbo terms = elbo(model, x, noise({4, 3}));
  CHECK(terms.kl.shape() == Shape{4, 3});
}

// Noise whose average is the exact expectation of any quadratic: ± √l e_j.
Variable quadrature(std::int64_t n, std::int64_t latents, DType dtype) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < latents; ++j)
      for (const double sign : {1.0, -1.0})
        for (std::int64_t k = 0; k < latents; ++k)
          values.push_back(j == k ? sign * std::sqrt(static_cast<double>(latents)) : 0);
  return kernels::cast(Tensor::of({n, 2 * latents, latents}, values), dtype);
}

// The ELBO an image, its expectation exact: reconstruction over the quadrature, KL in closed form.
Variable exact_elbo(const LinearGaussian& model, const Variable& x) {
  const Normal q = model.encode(x);
  const Normal each(unsqueeze(q.mean(), 1), unsqueeze(q.log_variance(), 1));
  const Variable z = each.sample(quadrature(x.size(0), q.mean().size(1), x.dtype()));
  return mean(model.log_prob_given(unsqueeze(x, 1), z), {1}) - sum(q.kl_to_standard(), {1});
}

// Eigenvalues of a symmetric matrix by Jacobi's rotations, largest first.
std::vector<double> eigenvalues(Matrix m) {
  const std::size_t n = m.size();
  for (int sweep = 0; sweep < 60; ++sweep)
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        const double angle = 0.5 * std::atan2(2 * m[p][q], m[q][q] - m[p][p]);
        const double c = std::cos(angle), s = std::sin(angle);
        for (std::size_t k = 0; k < n; ++k) {
          const double a = m[p][k], b = m[q][k];
          m[p][k] = c * a - s * b, m[q][k] = s * a + c * b;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double a = m[k][p], b = m[k][q];
          m[k][p] = c * a - s * b, m[k][q] = s * a + c * b;
        }
      }
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i)
    values.push_back(m[i][i]);
  std::sort(values.rbegin(), values.rend());
  return values;
}

}  // namespace

TEST_CASE("linear-Gaussian VAE: every importance weight is p(x), in f64") {
  every_weight_is_the_likelihood(DType::f64, 1e-10);
}

TEST_CASE("linear-Gaussian VAE: every importance weight is p(x), in f32") {
  every_weight_is_the_likelihood(DType::f32, 1e-3);
}

TEST_CASE("linear-Gaussian VAE: with orthogonal columns the ELBO is log p(x)") {
  const Matrix w = orthogonal_columns();
  const std::vector<double> bound = kernels::to_doubles(
      exact_elbo(best_for(w, DType::f64), tensor_of(points, DType::f64)).value());
  for (std::size_t i = 0; i < points.size(); ++i)
    CHECK(std::abs(bound[i] - exact(points[i], w)) < 1e-10);
}

TEST_CASE(
    "linear-Gaussian VAE: with rotated columns the ELBO falls short by ½ (Σ ln M_jj - ln det M)") {
  const Matrix w = rotated(orthogonal_columns(), 0.6);
  Matrix m = times_transposed(w);
  double diagonal = 0;
  for (std::size_t j = 0; j < m.size(); ++j) {
    m[j][j] += sigma * sigma;
    diagonal += std::log(m[j][j]);
  }
  const double gap = 0.5 * (diagonal - inverse(m).second);
  CHECK(gap > 0.05);
  const std::vector<double> bound = kernels::to_doubles(
      exact_elbo(best_for(w, DType::f64), tensor_of(points, DType::f64)).value());
  for (std::size_t i = 0; i < points.size(); ++i)
    CHECK(std::abs(exact(points[i], w) - bound[i] - gap) < 1e-10);
}

// A worse encoder than the best one, so that the weights differ: their mean is still p(x), and the
// bound's mean is below log p(x).
TEST_CASE("linear-Gaussian VAE: IWAE-k is at most log p(x), and its weights' mean is p(x)") {
  const Matrix w = rotated(orthogonal_columns(), 0.6);
  LinearGaussian model = best_for(w, DType::f64);
  model.a = model.a * 0.97;
  const Variable x = tensor_of(points, DType::f64);
  constexpr std::int64_t repeats = 4000;
  const auto n = static_cast<std::int64_t>(points.size());
  Random random(make_step_state({.seed = 4}));
  double before = -INFINITY;
  for (const std::int64_t k : {1, 4, 16}) {
    std::vector<double> mean(points.size()), squares(mean), weight(mean), weight_squares(mean);
    for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
      const Variable noise = kernels::normal({n, k, 3}, random.draw("test"), DType::f64);
      const std::vector<double> bounds = kernels::to_doubles(
          importance_bound(importance_weights(model, model.encode(x), x, noise).log_weight)
              .value());
      for (std::size_t i = 0; i < points.size(); ++i) {
        const double ratio = std::exp(bounds[i] - exact(points[i], w));  // of the estimate to p(x)
        mean[i] += bounds[i] / repeats, squares[i] += bounds[i] * bounds[i] / repeats;
        weight[i] += ratio / repeats, weight_squares[i] += ratio * ratio / repeats;
      }
    }
    double total = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
      CAPTURE(k);
      CAPTURE(i);
      CHECK(mean[i] <=
            exact(points[i], w) + 3 * std::sqrt((squares[i] - mean[i] * mean[i]) / repeats));
      CHECK(std::abs(weight[i] - 1) <=
            3 * std::sqrt((weight_squares[i] - weight[i] * weight[i]) / repeats));
      total += mean[i];
    }
    CHECK(total > before);
    before = total;
  }
}

TEST_CASE("linear-Gaussian VAE: trained from scratch it reaches probabilistic PCA's likelihood") {
  constexpr std::int64_t count = 200, d = 4, l = 2;
  Random random(make_step_state({.seed = 11}));
  // Data with variances 4, 2.25, 0.3, 0.2 along rotated axes.
  const Tensor raw = kernels::normal({count, d}, random.draw("test/data"), DType::f64);
  std::vector<double> values = raw.to_vector<double>();
  const std::array<double, d> scale{2, 1.5, std::sqrt(0.3), std::sqrt(0.2)};
  for (std::size_t i = 0; i < values.size(); i += d) {
    std::array<double, d> y;
    for (std::size_t j = 0; j < d; ++j)
      y[j] = values[i + j] * scale[j];
    values[i] = 0.8 * y[0] - 0.6 * y[2] + 1, values[i + 2] = 0.6 * y[0] + 0.8 * y[2] - 2;
    values[i + 1] = 0.6 * y[1] - 0.8 * y[3], values[i + 3] = 0.8 * y[1] + 0.6 * y[3];
  }
  const Variable x = Tensor::of({count, d}, values);
  std::array<double, d> centre_of_data{};
  for (std::size_t i = 0; i < values.size(); ++i)
    centre_of_data[i % d] += values[i] / count;
  Matrix covariance(d, std::vector<double>(d));
  for (std::size_t i = 0; i < values.size(); i += d)
    for (std::size_t a = 0; a < d; ++a)
      for (std::size_t b = 0; b < d; ++b)
        covariance[a][b] +=
            (values[i + a] - centre_of_data[a]) * (values[i + b] - centre_of_data[b]) / count;
  // Tipping & Bishop 1999, equations 7 and 8.
  const std::vector<double> lambda = eigenvalues(covariance);
  const double noise = (lambda[2] + lambda[3]) / (d - l);
  const double best = -0.5 * (d * log_two_pi + std::log(lambda[0]) + std::log(lambda[1]) +
                              (d - l) * std::log(noise) + d);

  struct Trained : Module {
    Trained() {
      for (const auto& [name, shape] :
           std::vector<std::pair<const char*, Shape>>{{"w", {d, l}},
                                                      {"mu", {d}},
                                                      {"log_variance", {}},
                                                      {"a", {l, d}},
                                                      {"q_log_variance", {l}}})
        handles.push_back(add(name, Parameter(shape, normal(0.3))));
    }
    std::vector<Parameter> handles;
  } trained;
  trained.to(DType::f64);
  trained.initialise(5);
  Parameters parameters(trained);
  Optimiser optimiser(parameters, {});
  Tensor step = make_step_state({.seed = 5});
  LinearGaussian model;
  const auto bound = [&] {
    model.w = trained.handles[0], model.mu = trained.handles[1];
    model.log_variance = trained.handles[2], model.a = trained.handles[3];
    model.q_log_variance = trained.handles[4];
    return mean(exact_elbo(model, x));
  };
  constexpr int updates = 3000;
  for (int i = 0; i < updates; ++i) {
    StepState state = read_step_state(step);
    state.rate = static_cast<float>(0.02 * 0.5 * (1 + std::cos(std::numbers::pi * i / updates)));
    write_step_state(step, state);
    optimiser.update(step, [&](int) { return -bound(); });
  }
  const double reached = bound().value().item<double>();
  CHECK(reached < best + 1e-9);
  CHECK(best - reached < 1e-3);
}
