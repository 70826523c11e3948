#include "nn/module.h"

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/optimiser.h"

namespace likely {

Parameter::Parameter(const Shape& shape, Initialiser initialise)
    : state_(std::make_shared<State>()) {
  state_->shape = shape;
  state_->initialise = std::move(initialise);
  renew(Tensor::empty(shape));
}

void Parameter::renew(Tensor value) {
  state_->variable =
      state_->frozen ? Variable(std::move(value)) : Variable::leaf(std::move(value), state_->slot);
}

void Parameter::rebase(Tensor value, std::shared_ptr<Slot> slot) {
  require(value.shape() == state_->shape,
          "parameter: a value of shape {} cannot replace one of {}.", value.shape(), state_->shape);
  state_->slot = std::move(slot);
  renew(std::move(value));
}

void Parameter::freeze(bool frozen) {
  if (frozen == state_->frozen)
    return;
  state_->frozen = frozen;
  renew(value());
}

void Parameter::initialise(const Draw& draw) {
  Tensor value = this->value();
  state_->initialise(value, draw);
}

Buffer::Buffer(Tensor value) : state_(std::make_shared<State>()) {
  state_->value = std::move(value);
}

const Tensor& Buffer::value() const {
  return state_->staged.defined() ? state_->staged : state_->value;
}

void Buffer::stage(Tensor value) {
  if (recomputing())
    return;
  require(value.shape() == state_->value.shape() && value.dtype() == state_->value.dtype(),
          "buffer: {} of shape {} cannot replace {} of shape {}.", value.dtype(), value.shape(),
          state_->value.dtype(), state_->value.shape());
  state_->staged = std::move(value);
}

void Buffer::commit(const Tensor& step) {
  if (state_->staged.defined())
    kernels::commit(state_->value, kernels::contiguous(state_->staged), step);
  drop();
}

void Buffer::drop() { state_->staged = Tensor(); }

void Buffer::rebase(Tensor value) {
  drop();
  state_->value = std::move(value);
}

void Module::check_name(const std::string& name) const {
  const auto named = [&](const auto& entry) { return entry.first == name; };
  require(!name.empty() && name.find('/') == std::string::npos,
          "module: '{}' is not a name for a part. Use one or more characters, none of them '/'.",
          name);
  require(std::none_of(parameters_.begin(), parameters_.end(), named) &&
              std::none_of(buffers_.begin(), buffers_.end(), named) &&
              std::none_of(children_.begin(), children_.end(), named),
          "module: there are two parts named '{}'. Rename one.", name);
}

Parameter Module::add(const std::string& name, Parameter parameter) {
  check_name(name);
  parameters_.emplace_back(name, parameter);
  return parameter;
}

Buffer Module::add(const std::string& name, Buffer buffer) {
  check_name(name);
  buffers_.emplace_back(name, buffer);
  return buffer;
}

namespace {

template <class Part>
void add_new(const std::string& path, const std::vector<std::pair<std::string, Part>>& parts,
             std::vector<std::pair<std::string, Part>>& found) {
  for (const auto& [name, part] : parts)
    if (std::none_of(found.begin(), found.end(),
                     [&part](const auto& entry) { return entry.second.same_as(part); }))
      found.emplace_back(path + name, part);
}

}  // namespace

void Module::collect(const std::string& path,
                     std::vector<std::pair<std::string, Parameter>>& found) const {
  add_new(path, parameters_, found);
  for (const auto& [name, child] : children_)
    child->collect(path + name + ".", found);
}

void Module::collect(const std::string& path,
                     std::vector<std::pair<std::string, Buffer>>& found) const {
  add_new(path, buffers_, found);
  for (const auto& [name, child] : children_)
    child->collect(path + name + ".", found);
}

std::vector<std::pair<std::string, Parameter>> Module::parameters() const {
  std::vector<std::pair<std::string, Parameter>> found;
  collect("", found);
  return found;
}

std::vector<std::pair<std::string, Buffer>> Module::buffers() const {
  std::vector<std::pair<std::string, Buffer>> found;
  collect("", found);
  return found;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [name, parameter] : parameters())
    count += parameter.shape().numel();
  return count;
}

std::vector<std::pair<std::string, Tensor>> Module::for_pytorch() const {
  std::vector<Named> all;
  for (const auto& [name, parameter] : parameters_)
    all.push_back(in_pytorch(name, parameter.value()));
  for (const auto& [name, buffer] : buffers_)
    all.push_back(in_pytorch(name, buffer.value()));
  for (const auto& [name, child] : children_)
    for (const auto& [within, value] : child->for_pytorch())
      all.push_back(in_pytorch(name + "." + within, value));
  return all;
}

void Module::initialise(std::uint64_t seed, const std::string& network) {
  StepState state;
  state.seed = seed;
  const std::string prefix = "initialise/" + (network.empty() ? "" : network + ".");
  Tensor step;
  for (auto& [name, parameter] : parameters()) {
    if (!step.defined() || step.device() != parameter.value().device())
      step = make_step_state(state, parameter.value().device());
    parameter.initialise({step, purpose_hash(prefix + name), 0});
  }
}

namespace {

// Replaces every value by a converted one, unless an optimiser's flat buffer already holds it.
template <class Convert>
void convert_all(const Module& module, const Convert& convert) {
  for (auto& [name, parameter] : module.parameters()) {
    require(!parameter.slot(),
            "module: '{}' already lies in a flat buffer. Convert the module before Parameters lays "
            "it out.",
            name);
    parameter.rebase(convert(parameter.value()), nullptr);
  }
  for (auto& [name, buffer] : module.buffers())
    buffer.rebase(convert(buffer.value()));
}

}  // namespace

void Module::to(DType dtype) {
  convert_all(*this, [dtype](const Tensor& value) {
    return is_floating(value.dtype()) ? kernels::cast(value, dtype) : value;
  });
}

void Module::to(Device device) {
  convert_all(*this, [device](const Tensor& value) { return value.to(device); });
}

void Module::freeze(bool frozen) {
  for (auto& [name, parameter] : parameters())
    parameter.freeze(frozen);
}

Frozen::Frozen(const Module& module) {
  for (auto& [name, parameter] : module.parameters())
    if (!parameter.frozen())
      parameters_.push_back(parameter);
  for (Parameter& parameter : parameters_)
    parameter.freeze(true);
}

Frozen::~Frozen() {
  for (Parameter& parameter : parameters_)
    parameter.freeze(false);
}

void Module::train(bool training) {
  training_ = training;
  for (auto& [name, child] : children_)
    child->train(training);
}

}  // namespace likely
