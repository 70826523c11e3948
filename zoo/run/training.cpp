#include "zoo/run/training.h"

#include <malloc.h>

#include <filesystem>
#include <optional>

#include "kernels/backend.h"
#include "kernels/choice.h"
#include "tensor/allocator.h"
#include "tensor/streams.h"
#include "zoo/run/finite_checkpoint.h"
#include "zoo/run/machine.h"
#include "zoo/run/metrics.h"
#include "zoo/run/observer.h"
#include "zoo/run/png.h"
#include "zoo/run/program.h"
#include "zoo/run/report.h"
#include "zoo/run/results.h"
#include "zoo/run/run_start.h"
#include "zoo/run/signals.h"

namespace likely {
namespace {

class TrainingRun {
 public:
  TrainingRun(const ModelDescription& description, const Configuration& configuration,
              const RunDirectory& run, Beginning beginning, const TrainingOptions& options);
  int go();

 private:
  using Clock = Progress::Clock;

  void restore();
  bool complete() const;
  int say_complete() const;
  void begin();
  void train();
  void turn();
  bool take_found(Trainer::Wait wait);
  void evaluate(Metrics::Values& line);
  void add_diagnosis(const Diagnosis& diagnosis, Metrics::Values& line);
  void draw_pictures();
  void save();
  void write_report();
  int stop(int exit_code);
  int finish();
  void print_results() const;
  bool due(const char* interval, std::int64_t step) const {
    return step % configuration_.settings.integer(interval) == 0;
  }
  bool due(const char* interval) const { return due(interval, trainer_.step()); }
  // Runs f; what it cannot write is reported and remembered, and training goes on.
  void try_to(const char* what, const std::function<void()>& f);

  const ModelDescription& description_;
  const Configuration& configuration_;
  const RunDirectory& run_;
  const TrainingOptions& options_;
  const std::int64_t steps_;
  Device device_;
  std::unique_ptr<DataSet> data_;
  Trainer trainer_;
  CheckpointFolder checkpoints_;
  RunStart start_;
  std::optional<SignalGuard> signals_;
  std::optional<Metrics> metrics_;
  std::optional<Observer> observer_;
  std::optional<Progress> progress_;
  ProgressPlan plan_;
  ProgressValues values_;
  std::optional<Evaluation> latest_;
  // Of test images at the step that was resumed, where no step follows: it may be more careful than
  // training makes them.
  nlohmann::ordered_json kept_;
  Metrics::Values held_out_;  // the first number of the newest diagnosis, if any
  std::string verdict_;       // and its words
  std::int64_t saved_step_ = -1, drawn_step_ = -1, found_step_ = 0;
  std::string failure_;  // of the newest attempt to write; empty after one that went well
};

TrainingRun::TrainingRun(const ModelDescription& description, const Configuration& configuration,
                         const RunDirectory& run, Beginning beginning,
                         const TrainingOptions& options)
    : description_(description),
      configuration_(configuration),
      run_(run),
      options_(options),
      steps_(configuration.settings.integer("steps")),
      device_(apply_to_program(configuration)),
      data_(data_of(configuration, device_)),
      trainer_(description, configuration, *data_, device_),
      checkpoints_(run.checkpoints(), *options.files),
      start_(run, beginning == Beginning::fresh, *options.files) {
  if (beginning == Beginning::resumed)
    restore();
  if (beginning == Beginning::resumed && trainer_.step() >= steps_)
    kept_ = kept_evaluation(run, data_->split_name(Split::test), trainer_.step());
  if (complete())
    return;
  observer_.emplace(trainer_, configuration_, *data_, device_);
  metrics_.emplace(run.metrics(), trainer_.step(), *options.files);
  signals_.emplace();  // up to here nothing was written, and any signal ends the process
  start_.write(configuration, device_);
}

// Whether nothing is left to do: the steps are done, and what comes after them was written.
bool TrainingRun::complete() const {
  return !kept_.is_null() && trainer_.step() == saved_step_ &&
         std::filesystem::exists(run_.picture("samples", saved_step_));
}

void TrainingRun::restore() {
  const auto warn = [](const std::string& text) { to_stderr("{}\n", text); };
  if (checkpoints_.empty())
    return require_may_begin_again(run_, configuration_, checkpoints_.cut_short(), warn);
  const Checkpoint checkpoint = checkpoints_.load(warn);
  if (const std::optional<DataFacts> learnt = recorded_data(checkpoint.facts);
      learnt && !options_.data_changed)
    require_same_data("resume", *learnt, facts_of(*data_));
  kernels::restore_choices(checkpoint.fact("choices"));
  trainer_.restore(checkpoint);
  saved_step_ = trainer_.step();
}

// After set-up: scraps of loading and of the measurement go back to the system, and memory is
// counted from here.
void TrainingRun::begin() {
  plan_.steps = steps_;
  found_step_ = trainer_.step();
  plan_.batches_an_epoch = trainer_.batches_an_epoch();
  plan_.images_a_batch = configuration_.settings.integer("batch");
  if (options_.verbosity != Verbosity::quiet && device_.kind == Device::cpu)
    plan_.peak_flops = measured_peak_flops();
  allocator_of(device_).trim();
  malloc_trim(0);
  allocator_of(device_).reset_peaks();
  progress_.emplace(Terminal::of(2), options_.verbosity, plan_, trainer_.step(), Clock::now());
  progress_->say(fmt::format("{} on {}: {} parameters, {} steps of {} images, in {}",
                             description_.name, data_->name(), trainer_.parameter_count(), steps_,
                             plan_.images_a_batch, run_.path()));
  if (const std::string left_out = data_->left_out(); !left_out.empty())
    progress_->say(left_out);
  if (!metrics_->notice().empty())
    progress_->say(metrics_->notice());
}

int TrainingRun::go() {
  if (complete())
    return say_complete();
  try {
    begin();
    if (found_step_ == 0 && saved_step_ < 0)
      stop_where_asked();
    train();
  } catch (...) {
    if (found_step_ == 0 && saved_step_ < 0)
      start_.take_back();
    throw;
  }
  return requested_exit() ? stop(requested_exit()) : finish();
}

void TrainingRun::train() {
  try {
    while (trainer_.step() < steps_ && !requested_exit())
      turn();
    if (take_found(Trainer::Wait::yes))
      progress_->step(found_step_, values_, Clock::now());
  } catch (const Diverged&) {
    progress_->finish();
    try_to("write metrics", [&] { metrics_->flush(); });
    throw;
  }
}

int TrainingRun::say_complete() const {
  if (options_.verbosity != Verbosity::quiet)
    to_stderr(
        "{0} has done {1} steps, and {2} are asked for: nothing is left to do, and nothing "
        "was changed. To train on: likely resume {0} --steps {3}\n",
        run_.path(), trainer_.step(), steps_, 2 * trainer_.step());
  print_results();
  return 0;
}

void TrainingRun::turn() {
  std::optional<kernels::LaunchLog> log;
  if (plan_.flops_a_step == 0)
    log.emplace();
  const std::int64_t batches = trainer_.batches();
  trainer_.start();
  if (log) {
    plan_.flops_a_step = std::max(1.0, log->flops());
    progress_->set_step(plan_.flops_a_step, trainer_.batches() - batches);
    log.reset();
  }
  const bool looks = due("eval-every") || due("sample-every") || due("save-every");
  const bool more = take_found(looks ? Trainer::Wait::yes : Trainer::Wait::no);
  if (due("sample-every"))
    draw_pictures();
  if (due("save-every"))
    save();
  else if (metrics_->due())
    try_to("write metrics", [&] { metrics_->flush(); });
  if (more)
    progress_->step(found_step_, values_, Clock::now());
}

// What the steps left of which a GPU has told, and whether there was any; an evaluation is of the
// newest.
bool TrainingRun::take_found(Trainer::Wait wait) {
  const std::int64_t before = found_step_;
  while (const std::optional<Turn> turn = trainer_.found(wait)) {
    found_step_ = turn->step;
    values_.loss = turn->loss;
    values_.rate = turn->update.rate;
    values_.recorded = turn->recorded;
    Metrics::Values line{{"loss", turn->loss},
                         {"rate", turn->update.rate},
                         {"gradient_norm", turn->update.gradient_norm}};
    line.insert(line.end(), turn->recorded.begin(), turn->recorded.end());
    values_.recorded.insert(values_.recorded.end(), held_out_.begin(), held_out_.end());
    if (due("eval-every", turn->step))
      evaluate(line);
    if (due("log-every", turn->step) || due("eval-every", turn->step))
      metrics_->add(turn->step, line);
  }
  return found_step_ > before;
}

void TrainingRun::evaluate(Metrics::Values& line) {
  const Evaluation found = observer_->evaluate(Split::validation);
  if (found.not_finite.empty())
    latest_ = found;
  else
    progress_->say(fmt::format("step {}: {}", trainer_.step(), found.not_finite));
  const Metrics::Values values = values_of(found);
  line.insert(line.end(), values.begin(), values.end());
  if (found.by_samples())
    return add_diagnosis(found.diagnosis, line);
  values_.nats = found.summary.nats;
  values_.gap = found.summary.gap;
}

// A verdict is said when it changes.
void TrainingRun::add_diagnosis(const Diagnosis& diagnosis, Metrics::Values& line) {
  line.insert(line.end(), diagnosis.values.begin(), diagnosis.values.end());
  held_out_ = diagnosis.values;
  held_out_.resize(std::min<std::size_t>(1, held_out_.size()));
  if (!diagnosis.verdict.empty() && diagnosis.verdict != verdict_)
    progress_->say(fmt::format("step {}: {}", trainer_.step(), diagnosis.verdict));
  verdict_ = diagnosis.verdict;
}

void TrainingRun::draw_pictures() {
  if (drawn_step_ == trainer_.step())
    return;
  Tensor samples, rebuilt;
  try {
    samples =
        observer_->pictures().samples(observer_->pictures().usual_count(), configuration_.seed());
    rebuilt = observer_->reconstructions();
  } catch (const Diverged& diverged) {
    return progress_->say(fmt::format("step {}: {}", trainer_.step(), diverged.what()));
  }
  const auto write_picture = [&](const char* kind, const Tensor& images) {
    replace_file(*options_.files, run_.picture(kind, trainer_.step()),
                 png_of(images, {Pictures::columns}));
  };
  try_to("draw samples", [&] {
    write_picture("samples", samples);
    if (rebuilt.defined())
      write_picture("reconstructions", rebuilt);
    drawn_step_ = trainer_.step();
  });
}

void TrainingRun::save() {
  if (saved_step_ == trainer_.step())
    return;
  const Checkpoint checkpoint = trainer_.checkpoint();
  if (const std::string what = first_not_finite(checkpoint); !what.empty())
    fail<Diverged>("save: step {} is not finite: {}. Nothing was saved. Lower --rate.",
                   checkpoint.step, what);
  try_to("save a checkpoint", [&] {
    metrics_->flush();
    checkpoints_.save(checkpoint,
                      [&](const std::string& text) { progress_->say(text, Verbosity::quiet); });
    saved_step_ = trainer_.step();
    progress_->say(fmt::format("saved step {}", saved_step_), Verbosity::verbose);
  });
  write_report();
}

void TrainingRun::write_report() {
  try_to("write the report", [&] {
    if (latest_)
      replace_file(*options_.files, run_.evaluation(), latest_->to_json());
    replace_file(*options_.files, run_.report(), report_html(run_, description_));
  });
}

void TrainingRun::try_to(const char* what, const std::function<void()>& f) {
  const auto report = [&](const Error& error) {
    failure_ = error.what();
    progress_->say(fmt::format("step {}: could not {}: {}", trainer_.step(), what, failure_),
                   Verbosity::quiet);
  };
  try {
    f();
  } catch (const SaveError& error) {
    report(error);
  } catch (const DataError& error) {
    report(error);
  }
}

int TrainingRun::stop(int exit_code) {
  progress_->finish();
  failure_.clear();
  save();
  to_stderr("stopped at step {} of {}. Go on with: likely resume {}\n", trainer_.step(), steps_,
            run_.path());
  return failure_.empty() ? exit_code : 4;
}

// The last files are tried once more where they failed before.
int TrainingRun::finish() {
  progress_->finish();
  const auto write_all = [&] {
    failure_.clear();
    draw_pictures();
    save();
  };
  write_all();
  if (!failure_.empty())
    write_all();
  const bool saved = failure_.empty();
  std::string not_finite;
  if (kept_.is_null()) {
    try {  // all that is to be saved is saved: a signal need not wait
      const Evaluation last =
          observer_->evaluate(Split::test, [](auto, auto) { stop_where_asked(); });
      not_finite = last.not_finite;
      if (not_finite.empty())
        latest_ = last;
    } catch (const Interrupted& interrupted) {
      to_stderr("stopped in the evaluation after the last step. Go on with: likely resume {}\n",
                run_.path());
      return saved ? interrupted.exit_code : 4;
    }
  }
  const Allocator::Counters memory = allocator_of(device_).counters();
  allocator_of(device_).trim();
  if (not_finite.empty() && latest_ && !latest_->by_samples())
    latest_->baselines = baseline_ladder(*data_);
  write_report();
  progress_->say(fmt::format("peak memory of tensors: {} bytes in use, {} held", memory.peak_in_use,
                             memory.peak_held),
                 Verbosity::verbose);
  if (!not_finite.empty())
    latest_.reset();  // of an earlier step
  print_results();
  require<Diverged>(not_finite.empty(), "{}", not_finite);
  return saved && failure_.empty() ? 0 : 4;
}

void TrainingRun::print_results() const {
  const std::string drawn = run_.picture("samples", trainer_.step());
  const bool is_drawn = complete() || drawn_step_ == trainer_.step();
  const Results results{trainer_.step(), is_drawn ? drawn : "", latest_ ? &*latest_ : nullptr,
                        kept_};
  if (options_.output == Output::json) {
    to_stdout("{}", results_json(run_, results));
    return;
  }
  to_stdout("{}", results_table(run_, results));
  if (latest_ && description_.evaluation_samples > 1)
    to_stdout("A tighter bound on all test images: likely evaluate {}\n", run_.path());
}

}  // namespace

int train(const ModelDescription& description, const Configuration& configuration,
          const RunDirectory& run, Beginning beginning, const TrainingOptions& options) {
  return TrainingRun(description, configuration, run, beginning, options).go();
}

}  // namespace likely
