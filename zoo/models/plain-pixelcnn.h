// van den Oord, Kalchbrenner & Kavukcuoglu (2016), Pixel Recurrent Neural Networks: the PixelCNN of
// masked convolutions (section 3.4), before gates and a second stack.
#pragma once
#include "zoo/autoregressive/pixels.h"

namespace likely {

class PlainPixelCnn : public PixelNetwork {
 public:
  struct Options {
    std::int64_t width = 16;  // h: channels inside a block, half of those between blocks
    std::int64_t blocks = 7;
    HeadOptions head = {};
  };
  PlainPixelCnn(std::int64_t channels, std::int64_t levels, const Options& options);

  Variable features(const Variable& x, const Tensor& labels) const override;
  std::unique_ptr<PixelCache> cache(const Shape& image, std::int64_t count,
                                    const Tensor& labels) const override;
  std::int64_t reach() const override;
  // A row further up, a block sees one pixel further to the right: so what lies flatter than that
  // to the right is never seen.
  bool has_blind_spot() const override { return true; }

 private:
  // The live taps of a masked square kernel: rows above, and a part of its own row.
  struct Masked : Module {
    // Mask A does not see the pixel itself, mask B does.
    Masked(std::int64_t in, std::int64_t out, std::int64_t reach, char mask);
    Variable operator()(const Variable& x) const;

    const bool sees_itself;
    Convolution above, left;
  };
  struct Block : Module {  // figure 5, left
    explicit Block(std::int64_t width);
    Variable begin(const Variable& x) const { return in(relu(x)); }
    Variable end(const Variable& masked, const Variable& x) const { return x + out(relu(masked)); }

    Convolution in;
    Masked masked;
    Convolution out;
  };
  class Cache;

  std::int64_t width_;
  Masked first_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

std::unique_ptr<PixelModel> make_plain_pixelcnn(const Shape& image, std::int64_t levels,
                                                const PlainPixelCnn::Options& options);
ModelDescription plain_pixelcnn_description();

}  // namespace likely
