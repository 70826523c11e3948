#include "zoo/run/frechet.h"

#include <Eigen/Eigenvalues>
#include <algorithm>

#include "kernels/copy.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"

namespace likely {
namespace {

using Matrix = Eigen::MatrixXd;
using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<const Rows> rows_of(const Tensor& features) {
  return {features.data<float>(), features.size(0), features.size(1)};
}

void require_features(const Tensor& a, const Tensor& b, std::int64_t least) {
  for (const Tensor& set : {a, b})
    require(set.rank() == 2 && set.dtype() == DType::f32 && set.contiguous() &&
                set.size(0) >= least && set.size(1) == b.size(-1),
            "features: {} and {} cannot be compared: f32 [n, d] both, with at least {} rows.",
            a.shape(), b.shape(), least);
}

struct Moments {
  Eigen::VectorXd mean;
  Matrix covariance;
};

Moments moments_of(const Tensor& features) {
  const Matrix x = rows_of(features).cast<double>();
  Moments result;
  result.mean = x.colwise().mean();
  const Matrix centred = x.rowwise() - result.mean.transpose();
  result.covariance = centred.transpose() * centred / static_cast<double>(features.size(0) - 1);
  return result;
}

// Squared distances [rows of a, rows of b], a block of `a` at a time: f(first row, block).
template <class F>
void for_each_distance_block(const Tensor& a, const Tensor& b, const F& f) {
  constexpr std::int64_t block = 1000;
  const auto squares = [](const Tensor& x) -> Eigen::VectorXf {
    return rows_of(x).rowwise().squaredNorm();
  };
  const Eigen::VectorXf of_a = squares(a), of_b = squares(b);
  const Tensor turned = b.transpose(0, 1);
  for (std::int64_t begin = 0; begin < a.size(0); begin += block) {
    const std::int64_t end = std::min(begin + block, a.size(0));
    Tensor products = kernels::matmul(a.slice(0, begin, end), turned);
    Eigen::Map<Rows> distances(products.data<float>(), end - begin, b.size(0));
    distances *= -2;
    distances.colwise() += of_a.segment(begin, end - begin);
    distances.rowwise() += of_b.transpose();
    f(begin, distances);
  }
}

constexpr std::int64_t neighbour = 3;  // k

// The squared distance from each feature to its k-th neighbour, itself not counted.
std::vector<float> radii(const Tensor& features) {
  std::vector<float> result(static_cast<std::size_t>(features.size(0)));
  for_each_distance_block(features, features, [&](std::int64_t begin, const auto& distances) {
    kernels::parallel_for(distances.rows(), 16, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        std::vector<float> row(distances.row(i).begin(), distances.row(i).end());
        row[static_cast<std::size_t>(begin + i)] = -1;  // itself, whatever rounding says
        std::nth_element(row.begin(), row.begin() + neighbour, row.end());
        result[static_cast<std::size_t>(begin + i)] = row[neighbour];
      }
    });
  });
  return result;
}

// The share of `points` within the radius of some feature of `set`.
double share_inside(const Tensor& points, const Tensor& set) {
  const std::vector<float> radius = radii(set);
  const Eigen::Map<const Eigen::RowVectorXf> most(radius.data(),
                                                  static_cast<std::int64_t>(radius.size()));
  std::int64_t inside = 0;
  for_each_distance_block(points, set, [&](std::int64_t, const auto& distances) {
    for (std::int64_t i = 0; i < distances.rows(); ++i)
      inside += (distances.row(i).array() <= most.array()).any();
  });
  return static_cast<double>(inside) / static_cast<double>(points.size(0));
}

// So that squared distances lose the fewest digits: both sets seen from the mean of one.
Tensor centred(const Tensor& features, const Eigen::RowVectorXf& mean) {
  Tensor result = Tensor::empty(features.shape(), DType::f32);
  Eigen::Map<Rows>(result.data<float>(), features.size(0), features.size(1)) =
      rows_of(features).rowwise() - mean;
  return result;
}

}  // namespace

double frechet_distance(const Tensor& a, const Tensor& b) {
  require_features(a, b, 2);
  const Moments of_a = moments_of(a), of_b = moments_of(b);
  // tr (Σ_a Σ_b)^½ = tr (R Σ_b R)^½ with R = Σ_a^½, whose argument is symmetric.
  const Eigen::SelfAdjointEigenSolver<Matrix> solved(of_a.covariance);
  const Matrix root = solved.eigenvectors() *
                      solved.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal() *
                      solved.eigenvectors().transpose();
  const Eigen::SelfAdjointEigenSolver<Matrix> product(root * of_b.covariance * root,
                                                      Eigen::EigenvaluesOnly);
  const double cross = product.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
  return (of_a.mean - of_b.mean).squaredNorm() + of_a.covariance.trace() + of_b.covariance.trace() -
         2 * cross;
}

PrecisionRecall precision_recall(const Tensor& real, const Tensor& samples) {
  require_features(real, samples, neighbour + 1);
  const Eigen::RowVectorXf mean = rows_of(real).colwise().mean();
  const Tensor a = centred(real, mean), b = centred(samples, mean);
  return {share_inside(b, a), share_inside(a, b)};
}

}  // namespace likely
