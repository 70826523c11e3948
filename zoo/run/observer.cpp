#include "zoo/run/observer.h"

#include <numeric>

#include "kernels/copy.h"

namespace likely {

Observer::Observer(Trainer& trainer, const Configuration& configuration, const DataSet& data,
                   Device device)
    : trainer_(trainer),
      configuration_(configuration),
      data_(data),
      device_(device),
      pictures_(trainer, data.modes(), device, of()) {
  if (data.size(Split::validation) > 0)
    validation_ =
        held_out_images(data, Split::validation, configuration.settings.integer("eval-count"),
                        configuration.seed(), device);
}

Evaluation Observer::evaluate(Split split, const Done& done) {
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
                                   .seed = configuration_.seed(),
                                   .done = done});
  });
  evaluation.step = trainer_.step();
  evaluation.parameters = trainer_.parameter_count();
  return evaluation;
}

Tensor Observer::reconstructions() {
  if (data_.modes())
    return {};
  Random random = random_for(Occasion::pictures, configuration_.seed(), device_);
  constexpr std::int64_t columns = Pictures::columns;
  const Tensor images =
      held_out_images(data_, Split::test, 4 * columns, configuration_.seed(), device_);
  Tensor rebuilt;
  trainer_.evaluating([&] { rebuilt = trainer_.model().reconstruct(images, random); });
  if (!rebuilt.defined())
    return {};
  rebuilt = kernels::contiguous(rebuilt);
  require_drawable(rebuilt, of());
  Tensors rows;
  for (std::int64_t begin = 0; begin < images.size(0); begin += columns)
    for (const Tensor& from : {images, rebuilt})
      rows.push_back(from.slice(0, begin, std::min(begin + columns, images.size(0))));
  return as_bytes(kernels::concatenate(rows, 0));
}

}  // namespace likely
