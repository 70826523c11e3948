// What a model of the zoo tells the trainer, the evaluator and the command line.
//
// A file zoo/models/NAME.cpp defines a class derived from Model and the function
//   ModelDescription NAME_description();
// from which the build makes the binary NAME.
// All else (data, loop, checkpoints, resume, grids, metrics, evaluation table, plan, report) is
// zoo/run's.
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "nn/optimiser.h"
#include "zoo/run/settings.h"

namespace likely {

// What a model is built for.
struct DataInfo {
  std::string name;          // "shapes", "mnist"
  Shape image;               // [height, width, channels]; [2] of a point in the plane
  int levels = 2;            // values that a byte of an image takes; 0 of a point (data_set.h)
  std::int64_t classes = 0;  // labels of its images lie below it; 0: it has none
};

// One batch of training data on the run's device.
struct Batch {
  // [n, height, width, channels] in [0, 1], exactly 0 or 1 where the data is binary; or [n, 2].
  Tensor images;
  Tensor condition = {};  // i64 [n], the images' labels, where the model takes them
};

// A network that one optimiser trains. A VAE has one, a GAN two. Its parameters are named
// "<module's name>" in checkpoints, or "<network's name>.<module's name>" where there are several.
struct Network {
  std::string name;
  Module& module;
  Optimiser::Options optimiser;
  Parameters::Grouping grouping = {};  // rates and weight decay by name; empty: all alike
};

// What a step may use. It decides nothing about time: batches and draws follow from seed and
// counters alone.
class StepContext {
 public:
  virtual ~StepContext() = default;
  virtual Batch next_batch() = 0;  // a step may take several; each is new
  // One update of a network (by its place in networks()): `loss` is differentiated once for each
  // micro-batch, draws what it needs from `random`, and is what the optimiser minimises. Meanwhile
  // the other networks' parameters are constants. Where a value is not finite, `loss` is called
  // once more, to find the op.
  virtual Tensor update(std::size_t network, const std::function<Variable(Random&)>& loss) = 0;
  // A number for metrics.jsonl and the progress line: the newest of a name in a step counts. Where
  // a run has several networks, "<network>_loss" is recorded by their updates.
  virtual void record(const std::string& name, const Tensor& value) = 0;
  virtual std::int64_t step() const = 0;  // from 0
};

enum class LikelihoodKind { exact, upper_bound };  // of the negative log-likelihood

// Estimates of log p(x), one an image, and what they are made of.
struct Likelihood {
  std::vector<double> log_likelihood;  // nats an image, in the order of the images
  LikelihoodKind kind = LikelihoodKind::exact;
  std::string method;  // "ELBO", "IWAE-500", "chain rule"
  // Terms of a bound by name and unit: {"reconstruction_nats", 70.1}, {"kl_nats_per_latent", {…}},
  // {"active_units", 20}.
  std::vector<std::pair<std::string, std::variant<double, std::vector<double>>>> terms;
  // The bound by number of importance samples, in disjoint groups of one set of draws.
  struct Rung {
    std::int64_t importance_samples;
    double negative_log_likelihood_nats;
    std::optional<double> standard_error_nats;  // none of one image
  };
  std::vector<Rung> sweep;
};

// What a model says of itself on held-out samples beside a likelihood, or instead of one.
struct Diagnosis {
  std::vector<std::pair<std::string, double>> values;  // for metrics.jsonl
  std::string verdict;                                 // in words, or empty
};

class Model {
 public:
  virtual ~Model() = default;

  // In a fixed order; the modules live in the model. Called once, before anything else: the run
  // moves them to its device, initialises them from its seed and lays out their flat buffers.
  virtual std::vector<Network> networks() = 0;

  // What a network minimises: the mean over the batch, in nats an image where the model has a
  // likelihood. The other networks are constants in it. Its noise is drawn in the dtype of the
  // batch, so that check-gradients can ask in f64.
  virtual Variable loss(std::size_t network, const Batch& batch, Random& random) = 0;

  // One turn of the loop; returns the loss that metrics.jsonl records. The default is one update of
  // the only network on one batch. On a GPU the first few calls are recorded and then replayed: what
  // is launched may not depend on step(), nor on a number that the host computes or reads.
  virtual Tensor step(StepContext& context);

  // With every evaluation, without a tape and with modules that do not train. On meta the
  // values are of no account.
  virtual Diagnosis diagnose(const Tensor& held_out, Random& random);

  // log p of each image [n, height, width, channels], as well as `importance_samples` allow (a
  // model with an exact likelihood ignores them; 1 asks for the cheapest bound, as at the intervals
  // of a training run). Runs without a tape, in chunks of the model's choice; calls `done` with the
  // number of images finished now and then. Empty for a model without a likelihood.
  virtual Likelihood likelihood(const Tensor& images, std::int64_t importance_samples,
                                Random& random, const std::function<void(std::int64_t)>& done);

  // New images [count, height, width, channels] in [0, 1], for eyes: probabilities, not coin flips,
  // where the decoder is a Bernoulli. Or new points [count, 2].
  virtual Tensor sample(std::int64_t count, Random& random) = 0;

  // How many labels the model takes with its images (zoo/run/condition.h); 0: none. Then each is as
  // likely as another in `likelihood` and `sample`, which are of images alone.
  virtual std::int64_t classes() const { return 0; }
  // As `sample`, each image given its label, i64 [count], under guidance; undefined where the model
  // takes none.
  virtual Tensor sample_given(const Tensor& labels, double guidance, Random& random);

  // `rows` of `columns` samples each that lead from one draw of z to another (zoo/run/latents.h);
  // undefined where the model has no z.
  virtual Tensor interpolate(std::int64_t rows, std::int64_t columns, Random& random);

  // The model's idea of given images, the same shape; undefined where it has none.
  virtual Tensor reconstruct(const Tensor& images, Random& random);
};

// A row of the faithfulness table.
struct Faithfulness {
  std::string what, paper, best_known, ours, why;
};

struct ModelDescription {
  std::string name;     // "vae": the binary, and the first part of a run's name
  std::string title;    // "Kingma & Welling (2013), Auto-Encoding Variational Bayes"
  std::string summary;  // one line for --help
  // Must hold steps, batch, rate and schedule (below); the rest is the model's own.
  std::vector<Setting> settings;
  std::vector<std::string> data;        // names it accepts, the default first
  std::int64_t evaluation_samples = 1;  // importance samples of `evaluate`
  std::vector<Faithfulness> faithfulness;
  std::function<std::unique_ptr<Model>(const Settings&, const DataInfo&)> make;
  // Where a preset differs by data: changes values before the configuration file and the command
  // line do.
  std::function<void(Settings&, Preset, const std::string& data)> for_data = {};
};

// The whole command line of a model's binary; returns the exit code.
int run_model(const ModelDescription& description, int argc, char** argv);

}  // namespace likely
