// DataSet: images as trainer and evaluator see them, with what is known exactly about their
// distribution.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/philox.h"
#include "tensor/random.h"

namespace likely {

class TemplateMixture;

enum class Split { train, validation, test };
const char* name_of(Split split);

// The random words of one image. They follow from the image's row, the seed and (while training)
// the update, so an image is the same whatever batch it stands in.
struct ImageWords {
  StepState state;
  std::uint32_t purpose = 0, index = 0;
  std::uint32_t first = 0;  // number of this image's first block of four words
  PhiloxBlock block(std::uint32_t number) const;
};

class DataSet {
 public:
  // The size of a generated training split. Its images differ by row and by update.
  static constexpr std::int64_t endless = std::numeric_limits<std::int64_t>::max();

  virtual ~DataSet() = default;
  DataSet(const DataSet&) = delete;

  // With everything that makes a likelihood comparable: "mnist, sampled binarisation (seed 17)".
  const std::string& name() const { return name_; }
  const Shape& image() const { return image_; }  // [height, width, channels]
  virtual std::int64_t size(Split split) const = 0;
  virtual std::string split_name(Split split) const;  // "test", "binarized-mnist test"

  // The images `rows` of a split, [n, height, width, channels], each value 0 or 1. What is random
  // about a training image comes from `draw`; validation and test images are fixed, whatever it is.
  Tensor batch(Split split, std::span<const std::int64_t> rows, const Draw& draw = {}) const;
  Tensor bytes(Split split, std::span<const std::int64_t> rows,
               const Draw& draw = {}) const;  // u8, on the host
  virtual Tensor labels(Split split) const;   // u8 [size]; undefined where the set has none

  // What is known of the distribution that the images come from; a set from files knows nothing.
  virtual std::optional<double> entropy() const;                     // nats an image
  virtual std::vector<double> log_prob(const Tensor& images) const;  // nats each; else empty
  virtual const TemplateMixture* templates() const;  // null where it is no mixture of templates

 protected:
  DataSet(std::string name, const Shape& image, std::uint64_t seed, Device device)
      : name_(std::move(name)), image_(image), seed_(seed), device_(device) {}
  virtual void write_image(Split split, std::int64_t row, const ImageWords& words,
                           std::uint8_t* pixels) const = 0;

 private:
  template <class T>
  Tensor gather(Split split, std::span<const std::int64_t> rows, const Draw& draw) const;

  std::string name_;
  Shape image_;
  std::uint64_t seed_;
  Device device_;
};

}  // namespace likely
