#include "zoo/run/pictures.h"

#include "kernels/copy.h"
#include "zoo/run/judge.h"
#include "zoo/run/png.h"
#include "zoo/run/scatter.h"

namespace likely {

Pictures::Pictures(Trainer& trainer, const PointMixture* modes, Device device, std::string of)
    : trainer_(trainer), modes_(modes), device_(device), of_(std::move(of)) {}

std::int64_t Pictures::usual_count() const {
  const std::int64_t rows = trainer_.model().classes();
  return modes_ ? 2500 : (rows > 0 ? std::min<std::int64_t>(rows, 16) : 8) * columns;
}

Tensor Pictures::samples(std::int64_t count, std::uint64_t seed, const Given& given) {
  Random random = random_for(Occasion::pictures, seed, device_);
  Model& model = trainer_.model();
  const std::int64_t classes = model.classes();
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < count && classes > 0; ++i)
    labels.push_back(given.label.value_or(i / columns % classes));
  Tensor images;
  trainer_.evaluating([&] {
    images = classes > 0
                 ? model.sample_given(Tensor::of({count}, labels, device_), given.guidance, random)
                 : model.sample(count, random);
  });
  return picture(images);
}

Tensor Pictures::interpolations(std::int64_t rows, std::uint64_t seed) {
  Random random = random_for(Occasion::pictures, seed, device_);
  Tensor images;
  trainer_.evaluating([&] { images = trainer_.model().interpolate(rows, columns, random); });
  return images.defined() ? picture(images) : images;
}

Tensor Pictures::picture(const Tensor& found) const {
  const Tensor samples = kernels::contiguous(found);
  require_drawable(samples, of_);
  if (!modes_)
    return as_bytes(samples);
  return samples.is_meta() ? Tensor::empty({1, scatter_side, scatter_side, 3}, DType::u8, device_)
                           : scatter(samples, *modes_);
}

void require_drawable(const Tensor& images, const std::string& of) {
  try {
    require_finite(images);
  } catch (const Diverged& diverged) {
    fail<Diverged>(
        "sample: {}, of {}. The weights are finite, but what is computed from them overflows. "
        "Train anew with a lower --rate.",
        diverged.what(), of);
  }
}

Tensor as_bytes(const Tensor& images) {
  const Tensor whole = kernels::contiguous(images);
  return whole.is_meta() ? Tensor::empty(whole.shape(), DType::u8, whole.device())
                         : to_bytes(whole);
}

}  // namespace likely
