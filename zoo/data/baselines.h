// The baseline ladder: what simple predictors reach on a data set, beside every likelihood of it.
#pragma once
#include <string>
#include <vector>

#include "zoo/data/data_set.h"

namespace likely {

struct Baseline {
  std::string name;
  double nats;  // negative log-likelihood an image of the test split
};

// From worst to best of their kind:
//   uniform        values · ln levels
//   marginal       each value of the image on its own, counts + ½
//   18 pixels      of black and white images: each pixel given the 18 nearest before it in raster
//                  order (black outside), counts + ½ (Krichevsky & Trofimov 1981)
//   zlib -9        the test images, packed as bits where they are black and white, compressed
//                  together
// Learnt from the training split shown once (the first 50,000 images of an endless one, each
// training image binarised once). Points have no ladder.
std::vector<Baseline> baseline_ladder(const DataSet& data);

}  // namespace likely
