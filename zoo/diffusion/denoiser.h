// Denoisers: networks that see a noisy sample and how noisy it is, and name the noise.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "nn/embedding.h"
#include "nn/linear.h"
#include "zoo/diffusion/table.h"

namespace likely {

// What a denoiser knows beside the sample, i64 [n] each, where it computes.
struct StepAndLabels {
  Tensor step;    // t - 1
  Tensor labels;  // undefined where it takes none
};

// Time enters all of them as in Vaswani et al. 2017, section 3.5: sines and cosines of t - 1 of
// growing wavelength, of which two layers make features. To these a label adds a row of its own.
class GivenFeatures : public Module {
 public:
  // For times 1 … steps; `waves` even, half of them sines; 0 labels are none.
  GivenFeatures(std::int64_t steps, std::int64_t waves, std::int64_t features, std::int64_t labels);
  Variable operator()(const StepAndLabels& given, DType dtype) const;  // [n, features], after SiLU

 private:
  Table waves_;  // [steps, waves]
  Linear first_, second_;
  std::optional<Embedding> label_;
};

class Denoiser : public Module {
 public:
  // The noise in x [n, sample…]. While training, what is dropped is drawn from `random`; where it
  // is null nothing is.
  virtual Variable operator()(const Variable& x, const StepAndLabels& given,
                              Random* random) const = 0;
};

struct UnetOptions {
  std::int64_t width = 128;                           // channels of the first level
  std::vector<std::int64_t> multipliers{1, 2, 2, 2};  // of it, by level; each halves the image
  std::int64_t blocks = 2;                            // on the way down; one more on the way up
  std::int64_t attention = 1;  // level, from 0; in the middle there is one always
  std::int64_t groups = 32;    // of a normalisation
  double dropout = 0.1;
  std::int64_t labels = 0;     // rows of their embedding
  Initialiser last = zeros();  // of layers that begin as if they were not there
};
// Ho et al. 2020, appendix B. x [n, height, width, channels]; inside, zeros around it make height
// and width such that each level can halve them.
std::unique_ptr<Denoiser> make_unet(const Shape& image, std::int64_t steps, const UnetOptions& how);

// An MLP with SiLU, to each of whose hidden layers time adds features. x [n, dimensions].
std::unique_ptr<Denoiser> make_mlp(std::int64_t dimensions, std::int64_t steps, std::int64_t width,
                                   std::int64_t layers);

}  // namespace likely
