#include "zoo/run/observer.h"

#include <numeric>

#include "kernels/copy.h"
#include "zoo/run/png.h"
#include "zoo/run/scatter.h"

namespace likely {

Observer::Observer(Trainer& trainer, const Configuration& configuration, const DataSet& data,
                   Device device)
    : trainer_(trainer), configuration_(configuration), data_(data), device_(device) {
  if (data.size(Split::validation) > 0)
    validation_ =
        held_out_images(data, Split::validation, configuration.settings.integer("eval-count"),
                        configuration.seed(), device);
}

Evaluation Observer::evaluate(Split split) {
  if (!validation_.defined())
    split = Split::test;
  const Tensor images =
      split == Split::validation
          ? validation_
          : held_out_images(data_, split, configuration_.settings.integer("eval-count"),
                            configuration_.seed(), device_);
  Evaluation evaluation;
  trainer_.evaluating([&] {
    evaluation = likely::evaluate(trainer_.model(), data_, split, images,
                                  {.model = configuration_.model,
                                   .samples = configuration_.settings.integer("eval-count"),
                                   .seed = configuration_.seed()});
  });
  evaluation.parameters = trainer_.parameter_count();
  return evaluation;
}

std::int64_t Observer::pictured() const {
  const std::int64_t rows = trainer_.model().classes();
  return data_.modes() ? 2500 : (rows > 0 ? std::min<std::int64_t>(rows, 16) : 8) * columns;
}

Tensor Observer::samples(std::int64_t count, std::uint64_t seed, const Given& given) {
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
  images = kernels::contiguous(images);
  require_drawable(images);
  return picture(images);
}

Tensor Observer::interpolations(std::int64_t rows, std::uint64_t seed) {
  Random random = random_for(Occasion::pictures, seed, device_);
  Tensor images;
  trainer_.evaluating([&] { images = trainer_.model().interpolate(rows, columns, random); });
  if (!images.defined())
    return images;
  images = kernels::contiguous(images);
  require_drawable(images);
  return picture(images);
}

void Observer::require_drawable(const Tensor& samples) const {
  try {
    require_finite(samples);
  } catch (const Diverged& diverged) {
    fail<Diverged>(
        "sample: {}, of {} on {}. The weights are finite, but what is computed from them "
        "overflows. Train anew with a lower --rate.",
        diverged.what(), configuration_.model, data_.name());
  }
}

Tensor Observer::picture(const Tensor& samples) const {
  if (!data_.modes())
    return as_bytes(samples);
  return samples.is_meta() ? Tensor::empty({1, scatter_side, scatter_side, 3}, DType::u8, device_)
                           : scatter(samples, *data_.modes());
}

Tensor Observer::reconstructions() {
  if (data_.modes())
    return {};
  Random random = random_for(Occasion::pictures, configuration_.seed(), device_);
  const Tensor images =
      held_out_images(data_, Split::test, 4 * columns, configuration_.seed(), device_);
  Tensor rebuilt;
  trainer_.evaluating([&] { rebuilt = trainer_.model().reconstruct(images, random); });
  if (!rebuilt.defined())
    return {};
  rebuilt = kernels::contiguous(rebuilt);
  require_drawable(rebuilt);
  Tensors rows;
  for (std::int64_t begin = 0; begin < images.size(0); begin += columns)
    for (const Tensor& from : {images, rebuilt})
      rows.push_back(from.slice(0, begin, std::min(begin + columns, images.size(0))));
  return as_bytes(kernels::concatenate(rows, 0));
}

Tensor Observer::as_bytes(const Tensor& images) const {
  const Tensor whole = kernels::contiguous(images);
  return whole.is_meta() ? Tensor::empty(whole.shape(), DType::u8, whole.device())
                         : to_bytes(whole);
}

}  // namespace likely
