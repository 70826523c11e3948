// Pictures: samples of a trained model as bytes for a PNG. They need no data.
#pragma once
#include "zoo/data/points.h"
#include "zoo/run/trainer.h"

namespace likely {

class Pictures {
 public:
  // `modes`: of a model of points, which its pictures show too; null of images. They outlive this.
  // `of` names model and data in a message: "vae on shapes".
  Pictures(Trainer& trainer, const PointMixture* modes, Device device, std::string of);

  // Of a model of images given their label.
  struct Given {
    std::optional<std::int64_t> label = {};  // of all samples; without one, rows of each in turn
    double guidance = 1;
  };
  // Bytes, [n, height, width, channels], the same noise for the same seed; points all in one
  // picture. Diverged where a value is not finite, as for all here.
  Tensor samples(std::int64_t count, std::uint64_t seed, const Given& given = {{}, 1});
  // Rows of `columns` samples from one draw of z to another; undefined where the model has no z.
  Tensor interpolations(std::int64_t rows, std::uint64_t seed);
  static constexpr std::int64_t columns = 8;
  std::int64_t usual_count() const;  // of samples

 private:
  Tensor picture(const Tensor& samples) const;

  Trainer& trainer_;
  const PointMixture* modes_;
  Device device_;
  std::string of_;
};

// Diverged where a value is not finite.
void require_drawable(const Tensor& images, const std::string& of);
// Images in [0, 1] as bytes; on meta of meta.
Tensor as_bytes(const Tensor& images);

}  // namespace likely
