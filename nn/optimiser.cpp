#include "nn/optimiser.h"

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"

namespace likely {
namespace {

constexpr std::int64_t hook_bytes = 1 << 20;  // of the flat gradient, a call

bool has_first(const Method& method) {
  const auto* sgd = std::get_if<kernels::Sgd>(&method);
  return std::holds_alternative<kernels::Adam>(method) || (sgd && sgd->momentum != 0);
}

bool has_second(const Method& method) { return !std::holds_alternative<kernels::Sgd>(method); }

const char* name_of(const Method& method) {
  return std::holds_alternative<kernels::Adam>(method)      ? "Adam"
         : std::holds_alternative<kernels::RmsProp>(method) ? "RMSProp"
                                                            : "gradient descent";
}

struct Pass {
  const kernels::Clip& clip;
  const kernels::FlatState& state;
  const Tensor& step;
  void operator()(const kernels::Adam& how) const { kernels::adam(how, clip, state, step); }
  void operator()(const kernels::RmsProp& how) const { kernels::rms_prop(how, clip, state, step); }
  void operator()(const kernels::Sgd& how) const { kernels::sgd(how, clip, state, step); }
};

// What buffers stage during one update. It goes with this object unless it was committed: under the
// flag, and when an exception ends the update.
class StagedBuffers {
 public:
  explicit StagedBuffers(const std::vector<const Module*>& modules) {
    for (const Module* module : modules)
      for (auto& [name, buffer] : module->buffers())
        buffers_.push_back(buffer);
    drop();
  }
  StagedBuffers(const StagedBuffers&) = delete;
  ~StagedBuffers() { drop(); }
  void check(const Tensor& step) const {
    Tensors staged;
    for (const Buffer& buffer : buffers_)
      if (buffer.staged().defined() && is_floating(buffer.staged().dtype()))
        staged.push_back(kernels::contiguous(buffer.staged()));
    kernels::check_finite(staged, step);
  }
  void commit(const Tensor& step) {
    for (Buffer& buffer : buffers_)
      buffer.commit(step);
  }

 private:
  void drop() {
    for (Buffer& buffer : buffers_)
      buffer.drop();
  }
  std::vector<Buffer> buffers_;
};

}  // namespace

Optimiser::Optimiser(Parameters& parameters, const Options& options)
    : parameters_(parameters), options_(options), modules_{&parameters.module()} {
  require(options.accumulate >= 1, "optimiser: {} micro-batches make no update. Use 1 or more.",
          options.accumulate);
  const Tensor& values = parameters.values();
  const auto zeros = [&values] {
    return kernels::zeros(values.shape(), values.dtype(), values.device());
  };
  state_.values = values;
  state_.gradients = parameters.gradients();
  if (has_first(options.method))
    state_.first = zeros();
  if (has_second(options.method))
    state_.second = zeros();
  state_.bound = options.bound;
  state_.count = Tensor::of<std::int64_t>({1}, std::vector<std::int64_t>{0}, values.device());
  if (options.average_decay) {
    state_.average = Tensor::empty_like(values);
    kernels::copy_into(state_.average, values);
    state_.average_decay = *options.average_decay;
  }
}

Tensor Optimiser::update(Tensor& step, const std::function<Variable(int)>& loss_of) {
  StagedBuffers staged(modules_);
  parameters_.begin_update();
  Tensor loss = differentiate(loss_of);
  parameters_.finish_gradients();
  call_hooks();
  state_.segments = parameters_.segments();  // freezing changes them
  kernels::guard(parameters_.gradients(), loss, step, limits());
  staged.check(step);
  std::visit(Pass{options_.clip, state_, step}, options_.method);
  staged.commit(step);
  return loss;
}

kernels::GuardLimits Optimiser::limits() const {
  return std::visit([&](const auto& how) { return kernels::limits_of(how, options_.clip, state_); },
                    options_.method);
}

std::string Optimiser::too_large(const StepState& found) const {
  const kernels::GuardLimits limits = this->limits();
  if (!(std::abs(found.rate) <= limits.rate))
    return fmt::format("under the rate {:.3g} parameters could overflow: {} takes {:.2g} at most",
                       found.rate, name_of(options_.method), limits.rate);
  double norm = 0, largest = -1;
  std::string where;
  for (const Parameters::Entry& entry : parameters_.entries())
    for (const double value :
         kernels::to_doubles(Parameters::slice(parameters_.gradients(), entry))) {
      norm = std::hypot(norm, value);
      if (std::abs(value) > largest) {
        largest = std::abs(value);
        where = entry.name;
      }
    }
  const bool second = state_.second.defined() && norm <= limits.norm;
  return fmt::format(
      "the norm of its gradient is {:.3g}, the largest element, {:.3g}, is of {}: {} overflows "
      "above {:.2g}",
      norm, largest, where,
      second ? fmt::format("{}'s second moment, of squares,", name_of(options_.method))
             : "the update",
      std::min(limits.norm, limits.clipped));
}

Tensor Optimiser::differentiate(const std::function<Variable(int)>& loss_of) const {
  Tensor total;
  for (int micro = 0; micro < options_.accumulate; ++micro) {
    const Variable loss = loss_of(micro);
    backward(loss);
    total = total.defined() ? (Variable(total) + Variable(loss.value())).value() : loss.value();
  }
  return total;
}

void Optimiser::call_hooks() const {
  const Tensor& gradients = parameters_.gradients();
  const std::int64_t segment = hook_bytes / static_cast<std::int64_t>(size_of(gradients.dtype()));
  for (const auto& hook : hooks_)
    for (std::int64_t begin = 0; begin < gradients.numel(); begin += segment)
      hook(gradients.slice(0, begin, std::min(begin + segment, gradients.numel())));
}

std::vector<std::pair<std::string, Tensor>> Optimiser::tensors() const {
  std::vector<std::pair<std::string, Tensor>> named;
  const std::pair<const char*, Tensor> flats[] = {{"model/", state_.values},
                                                  {"first/", state_.first},
                                                  {"second/", state_.second},
                                                  {"average/", state_.average}};
  for (const auto& [prefix, flat] : flats)
    if (flat.defined())
      for (const Parameters::Entry& entry : parameters_.entries())
        named.emplace_back(prefix + entry.name, Parameters::slice(flat, entry));
  named.emplace_back("count", state_.count);
  return named;
}

}  // namespace likely
