// van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu (2016), Conditional Image
// Generation with PixelCNN Decoders: the gated PixelCNN, of a vertical and a horizontal stack.
#pragma once
#include <optional>

#include "nn/convolution.h"
#include "nn/embedding.h"
#include "zoo/run/autoregressive.h"
#include "zoo/run/condition.h"

namespace likely {

// p(x) = Π p(x_i | x_1 … x_{i-1}), pixels row by row, each black or white.
class PixelCnn : public Model, public Autoregressive {
 public:
  struct Options {
    std::int64_t width = 64;  // channels of a stack
    std::int64_t layers = 7;  // after the first
    Condition condition = {};
    Optimiser::Options optimiser = {};
  };
  PixelCnn(const Shape& image, const Options& options);

  // Of each pixel being 1, given those before it, and the image's label i64 [n] where the model
  // takes labels: x [n, height, width, 1] → the same shape.
  Variable logits(const Variable& x, const Tensor& labels = {}) const;

  std::vector<Network> networks() override;
  Variable loss(std::size_t network, const Batch& batch, Random& random) override;
  Likelihood likelihood(const Tensor& images, std::int64_t importance_samples, Random& random,
                        const std::function<void(std::int64_t)>& done) override;
  // Computes for a pixel only what the one before has changed; the same bits as
  // sample_by_whole_passes.
  Tensor sample(std::int64_t count, Random& random) override;
  Tensor sample_given(const Tensor& labels, double guidance, Random& random) override;
  std::int64_t classes() const override { return options_.condition.classes; }
  // By one pass over the whole image for each of its pixels.
  Tensor sample_by_whole_passes(std::int64_t count, Random& random, const Guidance& guidance = {});

  std::unique_ptr<Prefix> begin(std::int64_t count, const Tensor& labels) const override;
  Variable log_probabilities(const Variable& x, const Tensor& labels) const override;
  std::int64_t reach() const override;

 private:
  // What a layer gives: the features of the vertical stack, which see the rows above, before and
  // after their gate, and those of the horizontal stack, which also see the pixels to the left.
  struct Features {
    Variable vertical, gated, horizontal;
  };
  // What its label adds to a layer before the gate of each stack (equation 4): [n, 1, 1, 2 width],
  // or none.
  struct Given {
    Variable vertical, horizontal;
  };
  // Section 2.4 and figure 2. Kernels hold live taps alone, so nothing is multiplied by a mask.
  struct Layer : Module {
    Layer(std::int64_t in, bool first, const Options& options);
    Features operator()(const Variable& above, const Variable& left, const Given& given) const;
    // From what the horizontal kernel gives, and the vertical features that join it.
    Variable end(const Variable& horizontal, const Variable& joined, const Variable& before,
                 const Given& given) const;
    Given given(const Tensor& labels) const;

    const bool first;  // does not see the pixel itself
    Convolution vertical, horizontal, joined, out;
    std::optional<Embedding> for_vertical, for_horizontal;
  };
  struct Layers : Module {
    Layers(const Options& options);
    Variable head(const Variable& features) const;

    std::vector<std::unique_ptr<Layer>> layers;
    Convolution hidden, logit;
  };
  class Sampler;
  // log p of each image: [n].
  Variable log_prob(const Variable& x, const Tensor& labels) const;
  Tensor draw(std::int64_t count, Random& random, const Guidance& guidance) const;

  Shape image_;
  Options options_;
  Layers network_;
};

ModelDescription pixelcnn_description();

}  // namespace likely
