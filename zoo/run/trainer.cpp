#include "zoo/run/trainer.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "kernels/choice.h"
#include "kernels/copy.h"
#include "kernels/random.h"
#include "tensor/json.h"
#include "tensor/shown.h"
#include "zoo/run/finite_checkpoint.h"

namespace likely {
namespace {

StepState first_state(std::uint64_t seed) {
  StepState state;
  state.seed = seed;
  return state;
}

Schedule schedule_of(const Settings& settings) {
  const Schedule schedule = schedule_named(settings.text("schedule"));
  return settings.has("warm-up") ? warm_up(settings.integer("warm-up"), schedule) : schedule;
}

// Batches are made on the host: their draws must not wait for a GPU. (On meta they are counted
// where they would be.)
Device host_of(Device device) {
  return kernels::served(device).kind == Device::cuda ? Device::cpu : device;
}

}  // namespace

Tensor Model::step(StepContext& context) {
  return context.update(0, [&](Random& random) { return loss(0, context.next_batch(), random); });
}

Diagnosis Model::diagnose(const Tensor&, Random&) { return {}; }

Likelihood Model::likelihood(const Tensor&, std::int64_t, Random&,
                             const std::function<void(std::int64_t)>&) {
  return {};
}

Tensor Model::sample_given(const Tensor&, double, Random&) { return {}; }

Tensor Model::interpolate(std::int64_t, std::int64_t, Random&) { return {}; }

Tensor Model::reconstruct(const Tensor&, Random&) { return {}; }

std::vector<std::int64_t> shuffled(std::int64_t count, const char* purpose, std::int64_t turn,
                                   Tensor& state, std::uint64_t seed) {
  StepState key = first_state(seed);
  key.update = static_cast<std::uint64_t>(turn);
  write_step_state(state, key);
  const Tensor order = kernels::permutation(count, {state, purpose_hash(purpose), 0});
  if (!order.is_meta())
    return order.to_vector<std::int64_t>();
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

Random random_for(Occasion occasion, std::uint64_t seed, Device device) {
  StepState state = first_state(seed);
  state.update = static_cast<std::uint32_t>(occasion);
  return Random(make_step_state(state, device));
}

Trainer::Trainer(const ModelDescription& description, const Configuration& configuration,
                 const DataSet& data, Device device)
    : Trainer(description, configuration, facts_of(data), &data, device) {}

Trainer::Trainer(const ModelDescription& description, const Configuration& configuration,
                 const DataFacts& data, Device device)
    : Trainer(description, configuration, data, nullptr, device) {}

Trainer::Trainer(const ModelDescription& description, const Configuration& configuration,
                 DataFacts facts, const DataSet* data, Device device)
    : configuration_(configuration),
      facts_(std::move(facts)),
      data_(data),
      device_(device),
      model_(description.make(configuration.settings,
                              {configuration.data(), facts_.image, facts_.levels, facts_.classes})),
      schedule_(schedule_of(configuration.settings)),
      state_(make_step_state(first_state(configuration.seed()), device)),
      data_state_(make_step_state(first_state(configuration.seed()), host_of(device))),
      random_(state_),
      reads_(device) {
  const std::vector<Network> networks = model_->networks();
  for (const Network& network : networks) {
    network.module.to(device);
    network.module.initialise(configuration.seed(), networks.size() > 1 ? network.name : "");
    auto parameters =
        std::make_unique<Parameters>(network.module, Parameters::Filter{}, network.grouping);
    auto optimiser = std::make_unique<Optimiser>(*parameters, network.optimiser);
    networks_.push_back({network, std::move(parameters), std::move(optimiser)});
  }
  for (const Trained& trained : networks_)  // one network's loss may run all
    for (const Network& network : networks)
      if (&network.module != &trained.network.module)
        trained.optimiser->commits(network.module);
}

const DataSet& Trainer::data() const {
  require(data_, "train: this trainer was made to ask its model, without data.");
  return *data_;
}

std::int64_t Trainer::batches_an_epoch() const {
  const std::int64_t size = data().size(Split::train);
  const std::int64_t batch = configuration_.settings.integer("batch");
  return size == DataSet::endless ? 0 : (size + batch - 1) / batch;
}

// Which images: a new permutation each epoch, its short last batch kept. The images of an endless
// set differ by the draw alone.
std::vector<std::int64_t> Trainer::rows_of(std::int64_t batch) {
  const std::int64_t an_epoch = batches_an_epoch(), size = size_of(batch);
  if (an_epoch == 0) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(size));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }
  const std::int64_t epoch = batch / an_epoch,
                     begin = batch % an_epoch * configuration_.settings.integer("batch");
  if (epoch != order_epoch_)
    order_ =
        shuffled(data().size(Split::train), "shuffle", epoch, data_state_, configuration_.seed());
  order_epoch_ = epoch;
  return {order_.begin() + begin, order_.begin() + begin + size};
}

std::int64_t Trainer::size_of(std::int64_t batch) const {
  const std::int64_t whole = configuration_.settings.integer("batch"),
                     an_epoch = batches_an_epoch();
  return an_epoch == 0 ? whole
                       : std::min(whole, data().size(Split::train) - batch % an_epoch * whole);
}

// Images and labels, the latter undefined where the model takes none.
std::pair<Tensor, Tensor> Trainer::host_batch(std::int64_t batch) {
  const std::vector<std::int64_t> rows = rows_of(batch);
  StepState now = first_state(configuration_.seed());
  now.update = static_cast<std::uint64_t>(batch);
  write_step_state(data_state_, now);
  return {data().batch_on_host(Split::train, rows, {data_state_, purpose_hash("train/images"), 0}),
          model_->classes() > 0 ? data().labels_on_host(Split::train, rows) : Tensor()};
}

Batch Trainer::next_batch() {
  if (filled_) {
    require(place_ < filled_->batches.size(),
            "train: a step takes more than the {} batches of one before. Use --graphs off.",
            filled_->batches.size());
    return filled_->batches[place_++];
  }
  const auto [images, labels] = host_batch(batches_++);
  return {images.to(device_), labels.defined() ? labels.to(device_) : Tensor()};
}

std::string Trainer::named(const Trained& trained, const std::string& name) const {
  return networks_.size() > 1 ? trained.network.name + "." + name : name;
}

Checkpoint Trainer::checkpoint() const {
  Checkpoint result;
  result.step = step_;
  result.hash = configuration_.hash();
  result.facts = {{"batches", fmt::format("{}", batches_)},
                  {"model", configuration_.model},
                  {"seed", fmt::format("{}", configuration_.seed())},
                  {"kernels", kernels::chosen_kernels()},
                  {"choices", kernels::remembered_choices()}};
  record_data(facts_, result.facts);
  for (const Trained& trained : networks_) {
    for (const auto& [name, tensor] : trained.optimiser->tensors()) {
      if (name.starts_with("model/"))
        result.model.emplace_back(named(trained, name.substr(6)), tensor);
      else if (name.starts_with("average/"))
        result.average.emplace_back(named(trained, name.substr(8)), tensor);
      else
        result.state.emplace_back(trained.network.name + "/" + name, tensor);
    }
    for (const auto& [name, buffer] : trained.network.module.buffers())
      result.model.emplace_back(named(trained, name), buffer.value());
  }
  result.state.emplace_back("step_state", state_);
  return result;
}

namespace {

void copy_named(const char* file, const Checkpoint::Tensors& from, const Checkpoint::Tensors& to) {
  require<DataError>(from.size() == to.size(),
                     "resume: {} holds {} tensors and the model has {}. The checkpoint is of "
                     "another configuration.",
                     file, from.size(), to.size());
  for (const auto& [name, tensor] : to) {
    const auto found = std::find_if(from.begin(), from.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    require<DataError>(found != from.end(), "resume: {} has no tensor named {}.", file, name);
    require<DataError>(
        found->second.shape() == tensor.shape() && found->second.dtype() == tensor.dtype(),
        "resume: {} of {} is {} {} and the model needs {} {}.", name, file, found->second.dtype(),
        found->second.shape(), tensor.dtype(), tensor.shape());
    kernels::copy_into(tensor, found->second.to(tensor.device()));
  }
}

// A number of steps or batches among a checkpoint's facts.
std::int64_t count_in(const Checkpoint& checkpoint, const char* name) {
  const std::string& text = checkpoint.fact(name);
  std::int64_t count = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  require<DataError>(
      error == std::errc{} && end == text.data() + text.size() && count >= 0 &&
          count <= largest_count,
      "resume: the checkpoint of step {} says {} of {}: a whole number from 0 to {} is needed.",
      checkpoint.step, in_quotes(text), name, largest_count);
  return count;
}

}  // namespace

void Trainer::restore(const Checkpoint& checkpoint) {
  const Checkpoint here = this->checkpoint();
  require<DataError>(checkpoint.hash == here.hash,
                     "resume: the checkpoint belongs to the configuration {} and config.toml is "
                     "{}. Something other than steps, threads or intervals was changed.",
                     shown(checkpoint.hash), here.hash);
  if (const std::string what = first_not_finite(checkpoint); !what.empty())
    fail<Diverged>(
        "checkpoint: step {} had diverged before it was saved: {}. Train anew with a "
        "lower --rate.",
        checkpoint.step, what);
  const std::int64_t batches = count_in(checkpoint, "batches");
  copy_named("model.safetensors", checkpoint.model, here.model);
  copy_named("average.safetensors", checkpoint.average, here.average);
  copy_named("state.safetensors", checkpoint.state, here.state);
  started_.clear();
  reads_.clear();
  updates_ = read_step_state(state_).update;
  step_ = checkpoint.step;
  batches_ = batches;
}

std::int64_t Trainer::parameter_count() const {
  std::int64_t count = 0;
  for (const Trained& trained : networks_)
    count += trained.parameters->count();
  return count;
}

Checkpoint::Tensors Trainer::for_pytorch() {
  Checkpoint::Tensors all;
  evaluating([&] {
    for (const Trained& trained : networks_)
      for (const auto& [name, value] : trained.network.module.for_pytorch())
        all.emplace_back(named(trained, name), kernels::contiguous(value));
  });
  return all;
}

void Trainer::evaluating(const std::function<void()>& f) {
  const auto turn = [&](bool to_evaluation) {
    for (const Trained& trained : networks_) {
      trained.network.module.train(!to_evaluation);
      for (auto& [name, buffer] : trained.network.module.buffers())
        buffer.drop();
      if (trained.optimiser->average().defined())
        trained.parameters->rebase(to_evaluation ? trained.optimiser->average()
                                                 : trained.parameters->values());
    }
  };
  turn(true);
  try {
    f();
  } catch (...) {
    turn(false);
    throw;
  }
  turn(false);
}

}  // namespace likely
