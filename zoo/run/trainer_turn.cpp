// Turns of the loop: launched, or recorded and replayed; what they found; and why one diverged.
#include <algorithm>
#include <cstring>

#include "kernels/choice.h"
#include "kernels/copy.h"
#include "kernels/gather.h"
#include "zoo/run/trainer.h"

namespace likely {

Turn Trainer::turn() {
  start();
  std::optional<Turn> newest;
  while (std::optional<Turn> turn = found(Wait::yes))
    newest = std::move(turn);
  return *newest;
}

void Trainer::start() {
  const auto rate = static_cast<float>(configuration_.settings.number("rate") *
                                       schedule_(step_, configuration_.settings.integer("steps")));
  write_rate(state_, rate);
  const std::int64_t batches = batches_;
  Kind* const kind = recordable_kind();
  if (kind) {
    fill(*kind);
    kind->graph->run([&] { run_step(*kind); });
    batches_ += static_cast<std::int64_t>(batches_a_turn_);
  } else {
    run_step(plain_);
    batches_a_turn_ = static_cast<std::size_t>(batches_ - batches);
  }
  filled_ = nullptr;
  const Kind& ran = kind ? *kind : plain_;
  reads_.send_for({state_, ran.values});
  started_.push_back({step_++, batches, rate, ran.names});
}

// What outlives the step goes to a place that was made before: by the first, which is not recorded.
void Trainer::run_step(Kind& kind) {
  place_ = 0;
  recorded_.clear();
  const kernels::LateIndexChecks late;  // launched as it would be recorded: the guard finds it
  const Tensor loss = model_->step(*this);
  require(!filled_ || place_ == batches_a_turn_,
          "train: a step takes {} batches where one before took {}. Use --graphs off.", place_,
          batches_a_turn_);
  recorded_.emplace(recorded_.begin(), "loss", loss);
  const auto count = static_cast<std::int64_t>(recorded_.size());
  if (!kind.values.defined() || kind.values.numel() != count)
    kind.values = Tensor::empty({count}, DType::f64, device_);
  kind.names.clear();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& [name, value] = recorded_[static_cast<std::size_t>(i)];
    kernels::copy_into(kind.values.slice(0, i, i + 1), value.reshape({1}));
    kind.names.push_back(name);
  }
  recorded_.clear();
}

std::optional<Turn> Trainer::found(Wait wait) {
  const bool late = device_.kind == Device::cuda && wait == Wait::no;
  if (started_.size() <= (late ? 1 : 0))
    return std::nullopt;
  const Started turn = std::move(started_.front());
  started_.pop_front();
  const std::vector<std::byte> bytes = reads_.take();
  Turn result;
  std::vector<double> values(turn.names.size());
  std::memcpy(&result.update, bytes.data(), sizeof result.update);
  std::memcpy(values.data(), bytes.data() + sizeof result.update, values.size() * sizeof(double));
  if (result.update.non_finite)
    explain_divergence(turn, result.update);
  updates_ = result.update.update;
  result.step = turn.step + 1;
  result.loss = values[0];
  for (std::size_t i = 1; i < values.size(); ++i)
    result.recorded.emplace_back(turn.names[i], values[i]);
  return result;
}

// Once it is known how many batches a turn takes, and only where all of them are whole.
Trainer::Kind* Trainer::recordable_kind() {
  if (!kernels::can_record(device_) || configuration_.settings.text("graphs") == "off" ||
      batches_a_turn_ == 0)
    return nullptr;
  for (std::size_t i = 0; i < batches_a_turn_; ++i)
    if (size_of(batches_ + static_cast<std::int64_t>(i)) !=
        configuration_.settings.integer("batch"))
      return nullptr;
  std::string key = kernels::chosen_kernels();
  for (const Trained& trained : networks_)
    key += trained.network.module.training() ? ", training" : ", not training";
  Kind& kind = kinds_[key];
  if (!kind.graph) {
    kind.values = Tensor::empty_like(plain_.values);
    kind.graph = std::make_unique<kernels::Graph>(device_);
  }
  return &kind;
}

// The batches of this turn, in the places that recorded launches read.
void Trainer::fill(Kind& kind) {
  const bool first = kind.batches.empty();
  kind.batches.resize(batches_a_turn_);
  for (std::size_t i = 0; i < batches_a_turn_; ++i) {
    Batch& batch = kind.batches[i];
    const auto [images, labels] = host_batch(batches_ + static_cast<std::int64_t>(i));
    if (first) {
      batch.images = Tensor::empty(images.shape(), images.dtype(), device_);
      if (labels.defined())
        batch.condition = Tensor::empty(labels.shape(), labels.dtype(), device_);
    }
    if (images.is_meta())
      continue;
    batch.images.copy_from_host(images.raw());
    if (labels.defined())
      batch.condition.copy_from_host(labels.raw());
  }
  filled_ = &kind;
}

Tensor Trainer::update(std::size_t network, const std::function<Variable(Random&)>& loss) {
  const std::string& name = networks_.at(network).network.name;
  Optimiser& optimiser = *networks_[network].optimiser;
  std::vector<std::unique_ptr<Frozen>> constants;
  for (std::size_t other = 0; other < networks_.size(); ++other)
    if (other != network)
      constants.push_back(std::make_unique<Frozen>(networks_[other].network.module));
  if (again_)
    return update_again(networks_.size() > 1 ? " in the update of " + name : "", optimiser, loss);
  random_.begin_update();
  const Tensor result = optimiser.update(state_, [&](int) { return loss(random_); });
  if (networks_.size() > 1)
    record(name + "_loss", result);
  return result;
}

void Trainer::record(const std::string& name, const Tensor& value) {
  const auto entry = std::find_if(recorded_.begin(), recorded_.end(),
                                  [&](const auto& recorded) { return recorded.first == name; });
  if (entry == recorded_.end())
    recorded_.emplace_back(name, value);
  else
    entry->second = value;
}

// From the update that was not finite on, the guard kept everything as it was. So the turn can be
// run once more: what came before is computed for those after it and changes nothing, then that
// update has a look at every value.
void Trainer::explain_divergence(const Started& turn, const StepState& found) {
  started_.clear();
  reads_.clear();
  step_ = turn.step;
  batches_ = turn.batches;
  again_ = {found, found.update};
  again_->state.rate = turn.rate;
  again_->state.update = updates_;
  again_->state.non_finite = 0;
  model_->step(*this);
  fail("train: step {} diverged, and all its updates are finite when they are run once more.",
       step_ + 1);
}

Tensor Trainer::update_again(const std::string& where, Optimiser& optimiser,
                             const std::function<Variable(Random&)>& loss) {
  const auto forward = [&](int = 0) { return loss(random_); };
  const std::int64_t batches = batches_;
  write_step_state(state_, again_->state);
  random_.begin_update();
  Tensor value;
  for (int micro = 0; micro < optimiser.options().accumulate; ++micro)
    value = forward().value();
  if (again_->state.update++ < again_->failed)
    return value;
  batches_ = batches;
  random_.begin_update();
  again_.reset();
  std::string what = "its loss or the norm of its gradient is not finite, though every value is";
  try {
    const FiniteCheck check;
    optimiser.update(state_, forward);
    if (const StepState found = read_step_state(state_);
        found.non_finite == kernels::flag::too_large)
      what = optimiser.too_large(found);
  } catch (const Diverged& diverged) {
    what = diverged.what();
    what.erase(what.find_last_not_of('.') + 1);
  }
  fail<Diverged>(
      "train: step {} diverged{}: {}. The parameters are as before this update. Lower --rate, or "
      "look at the data.",
      step_ + 1, where, what);
}

}  // namespace likely
