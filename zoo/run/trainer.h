// Trainer: a model with its optimisers on a device, and what one step of the loop does. The same
// code runs on `meta` for a plan.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "kernels/graph.h"
#include "nn/schedule.h"
#include "zoo/run/checkpoint.h"
#include "zoo/run/configuration.h"
#include "zoo/run/data_facts.h"

namespace likely {

// What one turn of the loop found. On meta all numbers are 0.
struct Turn {
  std::int64_t step = 0;  // so many are done with it
  double loss = 0;        // the one that metrics.jsonl records
  StepState update;       // as its last update left it: rate, gradient norm
  std::vector<std::pair<std::string, double>> recorded;  // in the order of first appearance
};

// On a GPU a turn whose batches are all whole is recorded once and replayed (kernels/graph.h),
// unless the setting `graphs` is off.
class Trainer : public StepContext {
 public:
  // `data` lies on `device` and outlives the trainer.
  Trainer(const ModelDescription& description, const Configuration& configuration,
          const DataSet& data, Device device);
  // Without data: to restore a model and ask it, not to train.
  Trainer(const ModelDescription& description, const Configuration& configuration,
          const DataFacts& data, Device device);

  // One turn of the loop. Throws Diverged, naming op, output and index, where the loss or a
  // gradient is not finite: then the parameters are as before that update.
  Turn turn();
  // The same in two halves, so that a GPU has the next turn at hand while it computes one: `start`
  // does not wait for it, and `found` has the results turn by turn, one turn late unless it is to
  // wait; nothing where there is none.
  void start();
  enum class Wait { no, yes };
  std::optional<Turn> found(Wait wait);

  std::int64_t step() const override { return step_; }
  Batch next_batch() override;
  Tensor update(std::size_t network, const std::function<Variable(Random&)>& loss) override;
  void record(const std::string& name, const Tensor& value) override;
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
  // A turn that was started and whose results were not looked at.
  struct Started {
    std::int64_t step, batches;  // before it
    float rate;
    std::vector<std::string> names;  // of what it recorded, behind the loss
  };
  // Turns whose batches have certain sizes: where their batches lie and what is kept of them.
  struct Kind {
    std::vector<Batch> batches;
    std::vector<std::string> names;
    Tensor values;  // f64: the loss, then what was recorded
    std::unique_ptr<kernels::Graph> graph;
  };
  // The updates of a turn that diverged, run once more.
  struct Again {
    StepState state;       // before the update that comes next
    std::uint64_t failed;  // the count of updates before the one that was not finite
  };

  Trainer(const ModelDescription& description, const Configuration& configuration, DataFacts facts,
          const DataSet* data, Device device);
  const DataSet& data() const;
  void run_step(Kind& kind);
  Kind* recordable_kind();
  void fill(Kind& kind);
  std::vector<std::int64_t> rows_of(std::int64_t batch);
  std::int64_t size_of(std::int64_t batch) const;
  std::pair<Tensor, Tensor> host_batch(std::int64_t batch);
  Tensor update_again(const std::string& where, Optimiser& optimiser,
                      const std::function<Variable(Random&)>& loss);
  [[noreturn]] void explain_divergence(const Started& turn, const StepState& found);

  struct Trained {
    Network network;
    std::unique_ptr<Parameters> parameters;
    std::unique_ptr<Optimiser> optimiser;
  };
  std::string named(const Trained& trained, const std::string& name) const;

  Configuration configuration_;
  DataFacts facts_;
  const DataSet* data_;  // null where it does not train
  Device device_;
  std::unique_ptr<Model> model_;
  std::vector<Trained> networks_;
  Schedule schedule_;
  std::vector<std::pair<std::string, Tensor>> recorded_;
  Tensor state_, data_state_;  // StepStates of the updates, and of the batches
  Random random_;
  std::int64_t step_ = 0, batches_ = 0;
  std::uint64_t updates_ = 0;  // of all optimisers, in the turns that were found finite
  std::deque<Started> started_;
  kernels::LateReads reads_;
  std::optional<Again> again_;
  Kind plain_;                         // launch by launch
  std::map<std::string, Kind> kinds_;  // recorded, by all that their launches depend on
  const Kind* filled_ = nullptr;       // whose batches this turn takes, the next in `place_`
  std::size_t place_ = 0, batches_a_turn_ = 0;
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
