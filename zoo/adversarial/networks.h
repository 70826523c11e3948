// Generators and critics by their data: MLPs for points, DCGAN's convolutions for images.
#pragma once
#include <memory>

#include "nn/convolution.h"
#include "zoo/run/sample_space.h"

namespace likely {

// How z becomes the first small image, and the last one a number.
enum class Ends { linear, convolution };

struct NetworkOptions {
  std::int64_t latents = 2;  // of a generator
  std::int64_t width = 256;  // units of a hidden layer; channels of the layer beside the image
  std::int64_t layers = 3;   // hidden ones, of an MLP
  bool smooth = false;       // tanh, instead of ReLU, or leaky ReLU in a critic of images
  Initialiser initialise = he_uniform();
  // Of images alone:
  Ends ends = Ends::linear;
  Bias bias = Bias::yes;
  bool normalised = false;  // each layer but those at the ends, by batch normalisation
  Initialiser scale_from = constant(1);
};

class SampleNetwork : public Module {
 public:
  virtual Variable operator()(const Variable& x) const = 0;
};

// z [n, latents] → [n, sample…]
std::unique_ptr<SampleNetwork> make_generator(const SampleSpace& space, const NetworkOptions& how);
// [n, sample…] → [n]: one number each, of any size
std::unique_ptr<SampleNetwork> make_critic(const SampleSpace& space, const NetworkOptions& how);

}  // namespace likely
