// Two sets of features compared: the Fréchet distance of the Gaussians that have their moments, and
// precision and recall by nearest neighbours.
#pragma once
#include "tensor/tensor.h"

namespace likely {

// |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½), in f64, covariances divided by n − 1 (Heusel et al.
// 2017, equation 6). Features: f32 [n, d], n ≥ 2, any number of rows in either. It grows as the
// sets shrink: compare it with two sets of real features of the same sizes.
double frechet_distance(const Tensor& a, const Tensor& b);

// Kynkäänniemi et al. 2019, equations 1 and 2, with k = 3: the share of features of one set within
// the distance to the k-th neighbour of some feature of the other. More than k features in each.
struct PrecisionRecall {
  double precision, recall;
};
PrecisionRecall precision_recall(const Tensor& real, const Tensor& samples);

}  // namespace likely
