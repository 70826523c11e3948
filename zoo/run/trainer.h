// Trainer: a model with its optimisers on a device, and what one step of the loop does. The same
// code runs on `meta` for a plan.
#pragma once
#include <memory>

#include "nn/schedule.h"
#include "zoo/data/data_set.h"
#include "zoo/run/checkpoint.h"
#include "zoo/run/configuration.h"

namespace likely {

class Trainer : public StepContext {
 public:
  // `data` lies on `device` and outlives the trainer.
  Trainer(const ModelDescription& description, const Configuration& configuration,
          const DataSet& data, Device device);

  // One turn of the loop; returns the loss, still on the device. Throws Diverged, naming op, output
  // and index, where the loss or a gradient is not finite: then the parameters are as before.
  Tensor turn();
  std::int64_t step() const override { return step_; }
  Batch next_batch() override;
  Tensor update(std::size_t network, const std::function<Variable(Random&)>& loss) override;
  void record(const std::string& name, const Tensor& value) override;
  // What the last turn recorded, in the order of the names' first appearance.
  std::vector<std::pair<std::string, double>> recorded() const;

  // What the last update left: its loss, rate and gradient norm. Zeros on meta.
  StepState last_update() const { return state_.is_meta() ? StepState{} : read_step_state(state_); }
  // Batches until every training image was shown once; 0 where the data is endless.
  std::int64_t batches_an_epoch() const;
  std::int64_t batches() const { return batches_; }  // taken so far
  void skip_to_batch(std::int64_t batch) { batches_ = batch; }

  Checkpoint checkpoint() const;  // views of the state, for saving
  void restore(const Checkpoint& checkpoint);

  Model& model() { return *model_; }
  // The weights that samples are drawn with, under PyTorch's names and in its layouts, contiguous.
  Checkpoint::Tensors for_pytorch();
  std::int64_t parameter_count() const;
  // Calls f while the networks are not training, and compute with their averaged parameters where
  // they keep such. What f stages in buffers is dropped.
  void evaluating(const std::function<void()>& f);

 private:
  [[noreturn]] void explain_divergence(const std::string& network, const StepState& before,
                                       std::int64_t batches, const std::function<void()>& again);

  struct Trained {
    Network network;
    std::unique_ptr<Parameters> parameters;
    std::unique_ptr<Optimiser> optimiser;
  };
  std::string named(const Trained& trained, const std::string& name) const;

  Configuration configuration_;
  const DataSet& data_;
  Device device_;
  std::unique_ptr<Model> model_;
  std::vector<Trained> networks_;
  Schedule schedule_;
  std::vector<std::pair<std::string, Tensor>> recorded_;
  Tensor state_, data_state_;  // StepStates of the updates, and of the batches
  Random random_;
  std::int64_t step_ = 0, batches_ = 0;
  std::int64_t order_epoch_ = -1;
  std::vector<std::int64_t> order_;  // of the training images in this epoch
};

// 0 … count - 1 in an order that seed, purpose and turn decide; drawn through `state` on its
// device.
std::vector<std::int64_t> shuffled(std::int64_t count, const char* purpose, std::int64_t turn,
                                   Tensor& state, std::uint64_t seed);

// Random numbers that no training update uses, so that pictures and evaluations change nothing.
enum class Occasion : std::uint32_t { evaluation = 0xffffffff, pictures = 0xfffffffe };
Random random_for(Occasion occasion, std::uint64_t seed, Device device);

}  // namespace likely
