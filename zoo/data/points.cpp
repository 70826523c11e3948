// Points and their density. A point takes one word for its centre and two for its normals.
#include "zoo/data/points.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/random_numbers.h"

namespace likely {
namespace {

double squared_distance(const Point& a, const Point& b) {
  return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
}

class PointSet final : public DataSet {
 public:
  PointSet(std::string name, PointMixture mixture, const DataOptions& options)
      : DataSet(std::move(name), {2}, 0, options.seed, options.device),
        mixture_(std::move(mixture)) {}

  std::int64_t size(Split split) const override {
    return split == Split::train ? endless : held_out;
  }
  std::optional<double> entropy() const override { return mixture_.entropy(); }
  std::vector<double> log_prob(const Tensor& points) const override {
    return mixture_.log_prob(points);
  }
  const PointMixture* modes() const override { return &mixture_; }

 private:
  void write_values(Split, std::int64_t, const ImageWords& words, float* values) const override {
    const PhiloxBlock block = words.block(0);
    const std::size_t count = mixture_.centres().size();
    const Point& centre = mixture_.centres()[std::uint64_t{block.word[0]} * count >> 32];
    const kernels::NormalPair normal = kernels::normals_from(block.word[1], block.word[2]);
    values[0] = static_cast<float>(centre[0] + mixture_.sd() * normal.first);
    values[1] = static_cast<float>(centre[1] + mixture_.sd() * normal.second);
  }

  PointMixture mixture_;
};

}  // namespace

double PointMixture::entropy() const {
  return std::log(static_cast<double>(centres_.size())) +
         std::log(2 * std::numbers::pi * std::numbers::e * sd_ * sd_);
}

double PointMixture::overlap() const {
  double most = 0;
  for (const Point& centre : centres_) {
    double sum = -1;  // the centre itself
    for (const Point& other : centres_)
      sum += std::exp(-squared_distance(centre, other) / (8 * sd_ * sd_));
    most = std::max(most, sum);
  }
  return most;
}

std::vector<double> PointMixture::log_prob(const Tensor& points) const {
  const double log_scale =
      std::log(2 * std::numbers::pi * sd_ * sd_) + std::log(static_cast<double>(centres_.size()));
  std::vector<double> nats;
  for (const Point& point : points_of(points)) {
    const double least = nearest(point).distance;
    double sum = 0;
    for (const Point& centre : centres_)
      sum += std::exp((least * least - squared_distance(point, centre)) / (2 * sd_ * sd_));
    nats.push_back(std::log(sum) - least * least / (2 * sd_ * sd_) - log_scale);
  }
  return nats;
}

PointMixture::Nearest PointMixture::nearest(const Point& point) const {
  const auto found =
      std::min_element(centres_.begin(), centres_.end(), [&](const Point& a, const Point& b) {
        return squared_distance(a, point) < squared_distance(b, point);
      });
  return {static_cast<std::size_t>(found - centres_.begin()),
          std::sqrt(squared_distance(*found, point))};
}

PointMixture rings_mixture() {
  std::vector<Point> centres;
  for (int i = 0; i < 8; ++i) {
    const double angle = i * std::numbers::pi / 4;
    centres.push_back({2 * std::cos(angle) / 1.414, 2 * std::sin(angle) / 1.414});
  }
  return {centres, 0.02 / 1.414};
}

PointMixture grid_mixture() {
  std::vector<Point> centres;
  for (int x = -2; x <= 2; ++x)
    for (int y = -2; y <= 2; ++y)
      centres.push_back({2 * x / 2.828, 2 * y / 2.828});
  return {centres, 0.05 / 2.828};
}

PointMixture gaussian_mixture() { return {{{0, 0}}, 1}; }

std::unique_ptr<DataSet> make_points(std::string name, PointMixture mixture,
                                     const DataOptions& options) {
  if (options.binarisation)
    fail<UsageError>("data: {} has no pixels. Leave out --binarisation {}.", name,
                     name_of(*options.binarisation));
  return std::make_unique<PointSet>(std::move(name), std::move(mixture), options);
}

std::vector<Point> points_of(const Tensor& tensor) {
  require(tensor.rank() == 2 && tensor.size(1) == 2 && tensor.dtype() == DType::f32,
          "points: {} of type {} are no points: f32 [n, 2].", tensor.shape(), tensor.dtype());
  const std::vector<float> values = tensor.to_vector<float>();
  std::vector<Point> points;
  for (std::size_t i = 0; i < values.size(); i += 2)
    points.push_back({values[i], values[i + 1]});
  return points;
}

}  // namespace likely
