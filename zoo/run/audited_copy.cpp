#include "zoo/run/audited_copy.h"

#include "kernels/copy.h"

namespace likely {
namespace {

// All values of a module, in a fixed order.
std::vector<Tensor> values_of(const Module& module) {
  std::vector<Tensor> values;
  for (const auto& [name, parameter] : module.parameters())
    values.push_back(parameter.value());
  for (const auto& [name, buffer] : module.buffers())
    values.push_back(buffer.value());
  return values;
}

}  // namespace

AuditedCopy::AuditedCopy(const AuditSubject& subject, const Shape& image, DType dtype)
    : model_(subject.description.make(
          subject.configuration.settings,
          {subject.data.name, image, subject.data.levels, subject.data.classes})) {
  std::vector<std::pair<Tensor, Tensor>> copies;  // to, from
  const std::vector<Network> here = model_->networks(), there = subject.model.networks();
  for (std::size_t n = 0; n < here.size(); ++n) {
    Module& module = here[n].module;
    module.to(dtype);
    module.initialise(subject.configuration.seed(), here.size() > 1 ? here[n].name : "");
    module.freeze();
    module.train(false);
    const std::vector<Tensor> to = values_of(module), from = values_of(there[n].module);
    for (std::size_t i = 0; i < to.size(); ++i) {
      copies.emplace_back(to[i], from[i]);
      of_run_ = of_run_ && to[i].shape() == from[i].shape();
    }
  }
  if (!of_run_)
    return;
  for (const auto& [to, from] : copies)
    kernels::copy_into(to, from.to(Device::cpu));
}

Tensor AuditedCopy::labels(std::int64_t label, std::int64_t count) const {
  return model_->classes() == 0 ? Tensor()
                                : kernels::full({count}, static_cast<double>(label), DType::i64);
}

SmallImages::SmallImages(std::int64_t channels, int levels) : levels_(levels) {
  constexpr std::int64_t most = 65536;
  for (const std::int64_t side : {3, 2}) {
    image_ = {side, side, channels};
    for (count_ = 1, free_ = 0; free_ < image_.numel() && count_ * levels_ <= most; ++free_)
      count_ *= levels_;
    if (whole())
      return;
  }
}

Tensor SmallImages::all(DType dtype) const {
  const std::int64_t fixed = image_.numel() - free_;
  std::vector<double> values;
  for (std::int64_t n = 0; n < count_; ++n) {
    for (std::int64_t e = 0; e < fixed; ++e)
      values.push_back(static_cast<double>(e * e % levels_) / (levels_ - 1));
    for (std::int64_t e = 0, digits = n; e < free_; ++e, digits /= levels_)
      values.push_back(static_cast<double>(digits % levels_) / (levels_ - 1));
  }
  return kernels::cast(Tensor::of(image_.inserted(0, count_), values), dtype);
}

std::string SmallImages::to_string() const {
  return fmt::format("all {} {} of {} x {}", count_, whole() ? "images" : "ends of an image",
                     image_[0], image_[1]);
}

}  // namespace likely
