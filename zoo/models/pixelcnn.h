// van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu (2016), Conditional Image
// Generation with PixelCNN Decoders: the gated PixelCNN, of a vertical and a horizontal stack.
#pragma once
#include <optional>

#include "nn/embedding.h"
#include "zoo/autoregressive/pixels.h"

namespace likely {

class PixelCnn : public PixelNetwork {
 public:
  struct Options {
    std::int64_t width = 64;  // channels of a stack
    std::int64_t layers = 7;  // after the first
    HeadOptions head = {};
    Condition condition = {};
  };
  PixelCnn(std::int64_t channels, std::int64_t levels, const Options& options);

  Variable features(const Variable& x, const Tensor& labels) const override;
  std::unique_ptr<PixelCache> cache(const Shape& image, std::int64_t count,
                                    const Tensor& labels) const override;
  std::int64_t reach() const override;

 private:
  // What a layer gives: the features of the vertical stack, which see the rows above, before and
  // after their gate, and those of the horizontal stack, which also see the pixels to the left.
  struct Features {
    Variable vertical, gated, horizontal;
  };
  // What a label adds to a layer before the gate of each stack (equation 4): [n, 1, 1, 2 width], or
  // none.
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
  class Cache;

  std::int64_t width_;
  std::vector<std::unique_ptr<Layer>> layers_;
};

// With this network, of images whose bytes are below `levels`.
std::unique_ptr<PixelModel> make_pixelcnn(const Shape& image, std::int64_t levels,
                                          const PixelCnn::Options& options);
ModelDescription pixelcnn_description();

}  // namespace likely
