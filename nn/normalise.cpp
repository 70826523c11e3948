#include "nn/normalise.h"

#include <algorithm>

#include "kernels/copy.h"

namespace likely {

Module::Named Norm::in_pytorch(const std::string& name, const Tensor& value) const {
  return {name == "scale"              ? "weight"
          : name == "shift"            ? "bias"
          : name == "running_variance" ? "running_var"
                                       : name,
          value};
}

BatchNorm::BatchNorm(std::int64_t channels, const Options& options)
    : how_{options.epsilon, options.activation, options.slope},
      momentum_(options.momentum),
      scale(add("scale", Parameter({channels}, options.scale_from))),
      shift(add("shift", Parameter({channels}, zeros()))),
      running_mean(add("running_mean", Buffer(kernels::zeros({channels})))),
      running_variance(add("running_variance", Buffer(kernels::full({channels}, 1)))) {}

Variable BatchNorm::operator()(const Variable& x) {
  if (!training())
    return batch_norm_by(x, {running_mean.value(), running_variance.value()}, scale, shift, how_);
  const std::int64_t count = x.value().numel() / std::max<std::int64_t>(x.size(-1), 1);
  require(count > 1,
          "batch_norm: the variance of {} value a channel is unknown: x is {}. Train with larger "
          "batches.",
          count, x.shape());
  const Normalised normalised = batch_norm(x, scale, shift, how_);
  stage(normalised.moments, count);
  return normalised.y;
}

void BatchNorm::stage(const kernels::Moments& of_batch, std::int64_t count) {
  if (recomputing())
    return;
  const NotRecording off;
  const auto average = [](const Tensor& running, const Tensor& batch, double old_share,
                          double new_share) {
    return (Variable(running) * old_share + Variable(batch) * new_share).value();
  };
  const double n = static_cast<double>(count);
  running_mean.stage(average(running_mean.value(), of_batch.mean, 1 - momentum_, momentum_));
  running_variance.stage(
      average(running_variance.value(), of_batch.variance, 1 - momentum_, momentum_ * n / (n - 1)));
}

LayerNorm::LayerNorm(std::int64_t channels, const kernels::Normalise& how)
    : how_(how),
      scale(add("scale", Parameter({channels}, constant(1)))),
      shift(add("shift", Parameter({channels}, zeros()))) {}

InstanceNorm::InstanceNorm(std::int64_t channels, const kernels::Normalise& how)
    : how_(how),
      scale(add("scale", Parameter({channels}, constant(1)))),
      shift(add("shift", Parameter({channels}, zeros()))) {}

GroupNorm::GroupNorm(std::int64_t channels, std::int64_t groups, const kernels::Normalise& how)
    : groups_(groups),
      how_(how),
      scale(add("scale", Parameter({channels}, constant(1)))),
      shift(add("shift", Parameter({channels}, zeros()))) {}

}  // namespace likely
