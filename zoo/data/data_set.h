// DataSet: images, or points in the plane, as trainer and evaluator see them, with what is known
// exactly about their distribution.
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

class PointMixture;
class TemplateMixture;

enum class Split { train, validation, test };
const char* name_of(Split split);

// The random words of one image or point. They follow from its row, the seed and (while training)
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
  static constexpr std::int64_t held_out = 10000;  // images each of its validation and test split

  virtual ~DataSet() = default;
  DataSet(const DataSet&) = delete;

  // With everything that makes a likelihood comparable: "mnist, sampled binarisation (seed 17)".
  const std::string& name() const { return name_; }
  const Shape& image() const { return image_; }  // [height, width, channels]; [2] of a point
  // How many values an image's bytes take, evenly from 0 to 1: 2 where it is black and white, 256
  // where it is grey or in colour. 0: the coordinates of points are any numbers.
  int levels() const { return levels_; }
  // From now on half of the training images are seen in a mirror: left and right change places.
  // UsageError where they are not in colour (of letters and digits there is another in the mirror),
  // or where captions name sides.
  void mirror_half();
  virtual std::int64_t size(Split split) const = 0;
  virtual std::string split_name(Split split) const;  // "test", "binarized-mnist test"
  // Tells this data from other data of the same name: of files, a digest of all that is read from
  // them; of what is generated, the version of its generator. Empty on meta, where nothing is read.
  virtual std::string content() const;
  // What of a folder was left out and why, in a line for people; empty where all was taken.
  virtual std::string left_out() const;

  // The images `rows` of a split, [n, height, width, channels], values in [0, 1]; of points [n, 2].
  // What is random about training data comes from `draw`; validation and test data are fixed,
  // whatever it is.
  Tensor batch(Split split, std::span<const std::int64_t> rows, const Draw& draw = {}) const {
    return batch_on_host(split, rows, draw).to(device_);
  }
  Tensor batch_on_host(Split split, std::span<const std::int64_t> rows,
                       const Draw& draw = {}) const;  // the same, on the host; on meta of meta
  Tensor bytes(Split split, std::span<const std::int64_t> rows,
               const Draw& draw = {}) const;          // of images: u8 below `levels`, on the host
  virtual Tensor labels(Split split) const;           // u8 [size]; undefined where the set has none
  virtual std::int64_t classes() const { return 0; }  // labels lie below it; 0: there are none
  // The labels of these rows: i64 [n]; and the same on the host, or on meta of meta.
  Tensor labels(Split split, std::span<const std::int64_t> rows) const {
    return labels_on_host(split, rows).to(device_);
  }
  Tensor labels_on_host(Split split, std::span<const std::int64_t> rows) const;
  // What the images of the same rows and draw show, in words; empty texts where nobody says.
  std::vector<std::string> captions(Split split, std::span<const std::int64_t> rows,
                                    const Draw& draw = {}) const;

  // What is known of the distribution that the images come from; a set from files knows nothing.
  virtual std::optional<double> entropy() const;                     // nats an image
  virtual std::optional<double> entropy_given_caption() const;       // nats an image
  virtual std::vector<double> log_prob(const Tensor& images) const;  // nats each; else empty
  virtual const TemplateMixture* templates() const;  // null where it is no mixture of templates
  virtual const PointMixture* modes() const;         // null where it is none of points

 protected:
  DataSet(std::string name, const Shape& image, int levels, std::uint64_t seed, Device device)
      : name_(std::move(name)), image_(image), levels_(levels), seed_(seed), device_(device) {}
  // An image, each byte below `levels`.
  virtual void write_image(Split split, std::int64_t row, const ImageWords& words,
                           std::uint8_t* pixels) const;
  // As `batch` gives it: byte / (levels - 1), unless points say it otherwise.
  virtual void write_values(Split split, std::int64_t row, const ImageWords& words,
                            float* values) const;
  virtual std::string caption(Split split, std::int64_t row, const ImageWords& words) const;

 private:
  // The words of each row in turn, without a number of the first block.
  ImageWords words_of(Split split, std::span<const std::int64_t> rows, const Draw& draw) const;
  // At most one word for the whole image and one for each of its values.
  std::int64_t blocks() const { return 1 + (image_.numel() + 3) / 4; }
  void write(Split split, std::int64_t row, const ImageWords& words, std::uint8_t* to) const;
  void write(Split split, std::int64_t row, const ImageWords& words, float* to) const;
  template <class T>
  Tensor gather(Split split, std::span<const std::int64_t> rows, const Draw& draw) const;

  std::string name_;
  Shape image_;
  bool mirrors_half_ = false;
  int levels_;
  std::uint64_t seed_;
  Device device_;
};

}  // namespace likely
