#include "nn/initialise.h"

#include <cmath>

#include "kernels/copy.h"
#include "kernels/random.h"

namespace likely {
namespace {

struct Fans {
  double in, out;
};

Fans fans_of(const char* initialiser, const Shape& shape) {
  require(shape.rank() >= 2,
          "{}: {} has no fans: a weight has two axes or more. Use zeros, constant or normal.",
          initialiser, shape);
  const auto numel = static_cast<double>(shape.numel());
  return {numel / static_cast<double>(shape[0]), numel / static_cast<double>(shape[-1])};
}

void fill_uniform(Tensor& value, const Draw& draw, double bound) {
  const Variable unit(kernels::uniform(value.shape(), draw));
  kernels::copy_into(value, ((unit - 0.5) * (2 * bound)).value());
}

void fill_normal(Tensor& value, const Draw& draw, double standard_deviation, double mean) {
  const Variable unit(kernels::normal(value.shape(), draw));
  kernels::copy_into(value, (unit * standard_deviation + mean).value());
}

// A matrix in f64 whose vectors may be its rows or its columns.
struct Vectors {
  double* data;
  std::int64_t count, length, vector_stride, element_stride;

  double* vector(std::int64_t i) const { return data + i * vector_stride; }
  double dot(const double* a, const double* b) const {
    double sum = 0;
    for (std::int64_t k = 0; k < length; ++k)
      sum += a[k * element_stride] * b[k * element_stride];
    return sum;
  }
  void add(double* to, double factor, const double* from) const {
    for (std::int64_t k = 0; k < length; ++k)
      to[k * element_stride] += factor * from[k * element_stride];
  }
};

// Gram–Schmidt, each vector twice: once leaves an error of the condition number times epsilon,
// twice is enough (Giraud et al. 2005). Normal entries with a positive diagonal of R give the
// uniform distribution (Mezzadri 2007).
void orthonormalise(const Vectors& vectors) {
  for (std::int64_t i = 0; i < vectors.count; ++i) {
    double* v = vectors.vector(i);
    for (int round = 0; round < 2; ++round)
      for (std::int64_t j = 0; j < i; ++j)
        vectors.add(v, -vectors.dot(v, vectors.vector(j)), vectors.vector(j));
    const double norm = std::sqrt(vectors.dot(v, v));
    vectors.add(v, 1 / norm - 1, v);
  }
}

}  // namespace

Initialiser constant(double value) {
  return [value](Tensor& tensor, const Draw&) { kernels::fill(tensor, value); };
}

Initialiser zeros() { return constant(0); }

Initialiser normal(double standard_deviation, double mean) {
  return [standard_deviation, mean](Tensor& value, const Draw& draw) {
    fill_normal(value, draw, standard_deviation, mean);
  };
}

Initialiser glorot_uniform() {
  return [](Tensor& value, const Draw& draw) {
    const Fans fans = fans_of("glorot_uniform", value.shape());
    fill_uniform(value, draw, std::sqrt(6 / (fans.in + fans.out)));
  };
}

Initialiser glorot_normal() {
  return [](Tensor& value, const Draw& draw) {
    const Fans fans = fans_of("glorot_normal", value.shape());
    fill_normal(value, draw, std::sqrt(2 / (fans.in + fans.out)), 0);
  };
}

Initialiser he_uniform() {
  return [](Tensor& value, const Draw& draw) {
    fill_uniform(value, draw, std::sqrt(6 / fans_of("he_uniform", value.shape()).in));
  };
}

Initialiser he_normal() {
  return [](Tensor& value, const Draw& draw) {
    fill_normal(value, draw, std::sqrt(2 / fans_of("he_normal", value.shape()).in), 0);
  };
}

Initialiser orthogonal(double gain) {
  return [gain](Tensor& value, const Draw& draw) {
    const auto fan_in = static_cast<std::int64_t>(fans_of("orthogonal", value.shape()).in);
    const std::int64_t out = value.size(0);
    const Tensor random = kernels::normal(value.shape(), draw, DType::f64);
    std::vector<double> matrix(static_cast<std::size_t>(random.numel()));
    if (!random.is_meta()) {
      matrix = kernels::to_doubles(random);
      orthonormalise(out <= fan_in ? Vectors{matrix.data(), out, fan_in, fan_in, 1}
                                   : Vectors{matrix.data(), fan_in, out, 1, fan_in});
    }
    for (double& element : matrix)
      element *= gain;
    kernels::copy_into(value, Tensor::of(value.shape(), matrix, value.device()));
  };
}

}  // namespace likely
