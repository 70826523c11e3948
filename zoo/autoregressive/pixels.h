// PixelModel: images given pixel by pixel, row by row: p(x) = Π p(x_i | x_1 … x_{i-1}), the
// channels of a pixel in turn. A network says what is seen of the pixels before, a head what
// follows.
#pragma once
#include "zoo/autoregressive/head.h"
#include "zoo/run/autoregressive.h"

namespace likely {

// Images that are drawn pixel by pixel. Derived classes keep what the next pixel leaves unchanged.
class PixelCache {
 public:
  // The pixels so far lie in a frame of so many zeros above and to both sides.
  PixelCache(const Shape& image, std::int64_t count, std::int64_t frame, Device device);
  virtual ~PixelCache() = default;
  virtual Variable features() = 0;  // of the next pixel, [n, 1, 1, width]; called once for each
  void set(const Tensor& values, std::int64_t channel);  // [n, 1, 1, any] of the next pixel
  Tensor pixel() const;                                  // the next one, as far as it is set
  void advance();
  Tensor images() const;

 protected:
  const std::int64_t width, frame;
  std::int64_t row = 0, column = 0;  // of the next pixel
  Tensor framed;
};

// A convolution of rows and columns that are all there: without padding.
Variable inside(const Convolution& layer, const Variable& x);

// Named "head" in it is the head; the rest is the derived class's.
class PixelNetwork : public Module {
 public:
  // Of each pixel [n, height, width, width'], by the pixels before it, and the labels i64 [n] where
  // the network takes them.
  virtual Variable features(const Variable& x, const Tensor& labels) const = 0;
  // The same bits, pixel by pixel.
  virtual std::unique_ptr<PixelCache> cache(const Shape& image, std::int64_t count,
                                            const Tensor& labels) const = 0;
  virtual std::int64_t reach() const = 0;
  virtual bool has_blind_spot() const { return false; }

  Device device() const;
  std::unique_ptr<Head> head;
};

class PixelModel : public Model, public Autoregressive {
 public:
  PixelModel(std::string name, const Shape& image, std::unique_ptr<PixelNetwork> network,
             const Condition& condition, const Optimiser::Options& optimiser = {});

  Variable features(const Variable& x, const Tensor& labels = {}) const {
    return network_->features(x, labels);
  }
  Variable log_prob(const Variable& x, const Tensor& labels = {}) const;  // [n]

  std::vector<Network> networks() override;
  Variable loss(std::size_t network, const Batch& batch, Random& random) override;
  Likelihood likelihood(const Tensor& images, std::int64_t importance_samples, Random& random,
                        const std::function<void(std::int64_t)>& done) override;
  // Computes for a pixel only what the one before has changed; the same bits as
  // sample_by_whole_passes.
  Tensor sample(std::int64_t count, Random& random) override;
  Tensor sample_given(const Tensor& labels, double guidance, Random& random) override;
  std::int64_t classes() const override { return condition_.classes; }
  // By one pass over the whole image for each of its pixels.
  Tensor sample_by_whole_passes(std::int64_t count, Random& random, const Guidance& guidance = {});

  std::unique_ptr<Prefix> begin(std::int64_t count, const Tensor& labels) const override;
  Variable log_probabilities(const Variable& x, const Tensor& labels) const override;
  std::int64_t reach() const override { return network_->reach(); }
  bool has_blind_spot() const override { return network_->has_blind_spot(); }

 private:
  class Known;
  Tensor draw(std::int64_t count, Random& random, const Guidance& guidance) const;

  std::string name_;
  Shape image_;
  std::unique_ptr<PixelNetwork> network_;
  Condition condition_;
  Optimiser::Options optimiser_;
};

// The sets that such models train on, and what presets change for some of them.
std::vector<std::string> pixels_data();
void pixels_for_data(Settings& settings, Preset preset, const std::string& data);

}  // namespace likely
