// PointMixture, and the data sets `rings`, `grid` and `gaussian`: points in the plane from equally
// likely round Gaussians. All about them is known.
#pragma once
#include <array>
#include <memory>
#include <vector>

#include "zoo/data/catalogue.h"

namespace likely {

using Point = std::array<double, 2>;

class PointMixture {
 public:
  PointMixture(std::vector<Point> centres, double sd) : centres_(std::move(centres)), sd_(sd) {}

  const std::vector<Point>& centres() const { return centres_; }
  double sd() const { return sd_; }

  // ln K + ln(2πe sd²) nats: too large by less than `overlap`.
  double entropy() const;
  // The most that a neighbour's density can take away, by E ln(1 + Σ r_j) ≤ Σ E √r_j, r_j being the
  // ratio of two densities: the greatest Σ_j exp(−d_ij² / 8 sd²).
  double overlap() const;
  std::vector<double> log_prob(const Tensor& points) const;  // f32 [n, 2]; nats each

  struct Nearest {
    std::size_t centre;
    double distance;
  };
  Nearest nearest(const Point& point) const;

 private:
  std::vector<Point> centres_;
  double sd_;
};

// 8 centres on a circle of radius 2 / 1.414, sd 0.02 / 1.414, and 5 x 5 centres 2 / 2.828 apart,
// sd 0.05 / 2.828: as Gulrajani et al. (2017) drew them, "8 Gaussians" and "25 Gaussians".
PointMixture rings_mixture();
PointMixture grid_mixture();
PointMixture gaussian_mixture();  // N(0, I): of it a diffusion's bound is known too

// An endless training split, and 10,000 points each for validation and test.
std::unique_ptr<DataSet> make_points(std::string name, PointMixture mixture,
                                     const DataOptions& options);

// f32 [n, 2] as points; Error for any other tensor.
std::vector<Point> points_of(const Tensor& tensor);

}  // namespace likely
