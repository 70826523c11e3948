// The verbs of a model's binary.
#include "autograd/check.h"
#include "tensor/safetensors.h"
#include "zoo/run/audit.h"
#include "zoo/run/check_model.h"
#include "zoo/run/command_line.h"
#include "zoo/run/observer.h"
#include "zoo/run/plan.h"
#include "zoo/run/png.h"
#include "zoo/run/program.h"
#include "zoo/run/report.h"
#include "zoo/run/setting_options.h"
#include "zoo/run/signals.h"
#include "zoo/run/trained.h"
#include "zoo/run/training.h"

namespace likely {
namespace {

constexpr Range of_counts{1, 1e6};

class ModelMain {
 public:
  explicit ModelMain(const ModelDescription& description)
      : description_(description),
        line_(description.name, description.title + ": " + description.summary) {
    add_train();
    add_resume();
    add_sample();
    add_evaluate();
    add_audit();
    add_report();
    add_export();
    add_plan();
    add_check();
  }
  int run(int argc, char** argv) { return line_.run(argc, argv); }

 private:
  void add_train();
  void add_resume();
  void add_sample();
  void add_evaluate();
  void add_audit();
  void add_report();
  void add_export();
  void add_plan();
  void add_check();

  int train();
  int resume();
  int sample();
  void require_given(const Model& model) const;
  int evaluate();
  int audit();

  void add_loudness(CLI::App& verb) {
    verb.add_flag("-q,--quiet", quiet_, "no progress")->group("Output");
    verb.add_flag("-v,--verbose", verbose_, "more about checkpoints and memory")->group("Output");
  }
  void add_run(CLI::App& verb) {
    verb.add_option("RUN", run_, "the folder of the run")->required()->type_name("");
    for (const auto& [name, help] :
         {std::pair("threads", "CPU threads; any number gives the same bits"),
          std::pair("data-dir", "folder of downloaded data")})
      changes_.add(verb, name, help, "Run");
    for (const Setting& setting : description_.settings)
      if (!setting.decides_bits && setting.name != "steps")
        changes_.add(verb, setting.name, setting.help + " [the run's]", "Model");
  }
  Verbosity verbosity() const {
    return quiet_ ? Verbosity::quiet : verbose_ ? Verbosity::verbose : Verbosity::normal;
  }
  // Shows how much is done where a terminal redraws; stops the work where a signal asks.
  Done done() const {
    return [redraws = Terminal::of(stderr).redraws && !quiet_](std::int64_t finished,
                                                               std::int64_t of) {
      if (const int exit_code = requested_exit())
        throw Interrupted{exit_code};
      if (redraws)
        fmt::print(stderr, "\r{}/{}{}", finished, of, finished == of ? "\n" : "");
    };
  }
  TrainingOptions training_options() const {
    return {verbosity(), json_ ? Output::json : Output::text};
  }

  ModelDescription description_;
  CommandLine line_;
  SettingOptions settings_, changes_;
  std::string run_, out_, json_file_;
  std::int64_t count_ = 0, importance_samples_ = 0, also_judged_ = 0;
  std::optional<std::uint64_t> noise_seed_;
  Observer::Given given_;
  int directions_ = 4;
  bool interpolate_ = false, quiet_ = false, verbose_ = false, json_ = false,
       print_configuration_ = false;
};

void ModelMain::add_train() {
  const std::string& name = description_.name;
  CLI::App& verb = line_.verb(
      "train", "train from the beginning into a new folder",
      {fmt::format("likely train {}", name),
       fmt::format("likely train {} --preset small --data {}", name, description_.data.back()),
       fmt::format("likely train {} --config runs/first/config.toml", name)},
      [this] { return train(); });
  settings_.add_to(verb, description_);
  verb.add_option("--out", out_, "the new run's folder [runs/MODEL-DATA-PRESET-DATE]")
      ->type_name("FOLDER")
      ->group("Output");
  verb.add_flag("--print-config", print_configuration_, "print all settings as TOML and stop")
      ->group("Output");
  add_loudness(verb);
  verb.add_flag("--json", json_, "results as JSON on stdout")->group("Output");
}

int ModelMain::train() {
  const Configuration configuration = settings_.resolve(description_);
  if (print_configuration_) {
    fmt::print("{}", configuration.to_toml());
    return 0;
  }
  const Device device = apply_to_program(configuration);
  data_of(configuration, device);  // missing data shows before a folder is made
  const RunDirectory run = RunDirectory::create(
      out_.empty() ? RunDirectory::fresh_name(configuration) : out_, configuration);
  return likely::train(description_, configuration, run, Beginning::fresh, training_options());
}

void ModelMain::add_resume() {
  CLI::App& verb =
      line_.verb("resume", "go on from the last checkpoint, as if never stopped",
                 {"likely resume runs/first", "likely resume runs/first --steps 20000"},
                 [this] { return resume(); });
  add_run(verb);
  changes_.add(verb, "steps", "train to this many steps in all [as before]", "Run");
  changes_.add(verb, "graphs", "steps on a GPU: on or off, the same bits [the run's]", "Run");
  add_loudness(verb);
  verb.add_flag("--json", json_, "results as JSON on stdout")->group("Output");
}

int ModelMain::resume() {
  const RunDirectory run = RunDirectory::open_to_write(run_, "resume");
  const Configuration configuration = run.read_configuration(description_, changes_.given());
  if (const std::string text = configuration.to_toml();
      text != read_file(run.configuration(), 1 << 20))
    replace_file(real_file_system(), run.configuration(), text);
  return likely::train(description_, configuration, run, Beginning::resumed, training_options());
}

void ModelMain::add_sample() {
  CLI::App& verb = line_.verb(
      "sample", "draw new images into a PNG",
      {"likely sample runs/first --count 100 --out more.png",
       "likely sample runs/first --label 3 --guidance 2", "likely sample runs/first --interpolate"},
      [this] { return sample(); });
  add_run(verb);
  verb.add_option("--count", count_, "images or points [64, 2500]")
      ->type_name("")
      ->check(whole_number_in(of_counts));
  verb.add_option("--out", out_, "the PNG [RUN/samples/samples.png]")->type_name("FILE");
  verb.add_option("--seed", noise_seed_, "of the noise [the run's]")
      ->type_name("")
      ->check(whole_number_in(any_seed));
  verb.add_option("--label", given_.label, "of all samples [a row of each]")
      ->type_name("")
      ->check(whole_number_in({}));
  verb.add_option("--guidance", given_.guidance,
                  "w in u + w (c - u): what the network says with a label, c, and without, u [1]")
      ->type_name("")
      ->check(number_in({0, 100}));
  verb.add_flag("--interpolate", interpolate_,
                "rows of 8 that lead from one draw of the latents to another");
}

// That --label and --guidance say something to the model.
void ModelMain::require_given(const Model& model) const {
  const std::int64_t classes = model.classes();
  require<UsageError>(classes > 0 || (!given_.label && given_.guidance == 1),
                      "sample: this run's {} takes no labels. Leave out --label and --guidance.",
                      description_.name);
  require<UsageError>(!given_.label || (*given_.label >= 0 && *given_.label < classes),
                      "sample: there is no label {}. Use 0 to {}.", given_.label.value_or(0),
                      classes - 1);
}

int ModelMain::sample() {
  const RunDirectory run = RunDirectory::open(run_);
  TrainedRun trained(description_, run, changes_.given());
  Observer observer(trained.trainer, trained.configuration, *trained.data, trained.device);
  require_given(trained.trainer.model());
  const std::uint64_t seed = noise_seed_.value_or(trained.configuration.seed());
  const std::int64_t count = count_ > 0 ? count_ : observer.pictured();
  const std::string usual = interpolate_ ? "/interpolations.png" : "/samples.png";
  const std::string path = out_.empty() ? run.samples() + usual : out_;
  const Tensor images =
      interpolate_
          ? observer.interpolations((count + Observer::columns - 1) / Observer::columns, seed)
          : observer.samples(count, seed, given_);
  require<UsageError>(images.defined(),
                      "sample: {} has no latents to interpolate. Leave --interpolate out.",
                      description_.name);
  write_png(path, images, {Observer::columns});
  fmt::print("{}\n", path);
  return 0;
}

void ModelMain::add_evaluate() {
  CLI::App& verb = line_.verb(
      "evaluate", "the likelihood of test images; or samples judged, where there is none",
      {"likely evaluate runs/first",
       "likely evaluate runs/first --importance-samples 5000 --count 1000 --json e.json"},
      [this] { return evaluate(); });
  add_run(verb);
  verb.add_option("--count", count_,
                  "test images, drawn at random [all]; samples to judge [5000 or 10000]")
      ->type_name("")
      ->check(whole_number_in(of_counts));
  verb.add_option("--samples", also_judged_, "samples to judge beside a likelihood [none]")
      ->type_name("")
      ->check(whole_number_in(of_counts));
  verb.add_option("--importance-samples", importance_samples_,
                  fmt::format("of the bound [{}]", description_.evaluation_samples))
      ->type_name("")
      ->check(whole_number_in(of_counts));
  verb.add_option("--json", json_file_, "write the results to this file too")->type_name("FILE");
  add_loudness(verb);
}

int ModelMain::evaluate() {
  const RunDirectory run = RunDirectory::open_to_write(run_, "evaluate");
  TrainedRun trained(description_, run, changes_.given());
  const SignalGuard signals;
  const Done done = this->done();
  const auto say = [&](const std::string& text) {
    if (!quiet_)
      fmt::print(stderr, "{}\n", text);
  };
  const std::int64_t all = trained.data->size(Split::test);
  Effort effort{.model = description_.name,
                .samples = count_ > 0 ? count_ : judged_count(*trained.data),
                .also_judged = also_judged_,
                .seed = trained.configuration.seed(),
                .done = done};
  std::unique_ptr<ClassReference> reference;
  effort.reference = [&]() -> const ClassReference* {
    if (!reference && has_labels(*trained.data))
      reference = std::make_unique<ClassReference>(
          *trained.data, cached_classifier(*trained.data, say, done).classifier);
    return reference.get();
  };
  effort.importance_samples =
      importance_samples_ > 0 ? importance_samples_ : description_.evaluation_samples;
  const Tensor images = held_out_images(*trained.data, Split::test, count_ > 0 ? count_ : all,
                                        trained.configuration.seed(), trained.device);
  Evaluation evaluation;
  trained.trainer.evaluating([&] {
    evaluation =
        likely::evaluate(trained.trainer.model(), *trained.data, Split::test, images, effort);
  });
  require<Diverged>(evaluation.not_finite.empty(), "{}", evaluation.not_finite);
  evaluation.parameters = trained.trainer.parameter_count();
  if (evaluation.by_samples())
    evaluation.untrained = judge_untrained(description_, trained, effort);
  else
    evaluation.baselines = baseline_ladder(*trained.data);
  FileSystem& files = real_file_system();
  replace_file(files, run.evaluation(), evaluation.to_json());
  if (!json_file_.empty())
    replace_file(files, json_file_, evaluation.to_json());
  replace_file(files, run.report(), report_html(run, description_));
  fmt::print("{}", evaluation.to_table());
  return 0;
}

void ModelMain::add_audit() {
  CLI::App& verb = line_.verb(
      "audit", "prove that the likelihood is one: sums, dependences, coded images, bounds",
      {"likely audit runs/first", "likely audit runs/first --count 10000 --json audit.json"},
      [this] { return audit(); });
  add_run(verb);
  verb.add_option("--count", count_, "test images, drawn at random [1000]")
      ->type_name("")
      ->check(whole_number_in(of_counts));
  verb.add_option("--json", json_file_, "write the results to this file too")->type_name("FILE");
  verb.add_flag("-q,--quiet", quiet_, "no progress")->group("Output");
}

int ModelMain::audit() {
  TrainedRun trained(description_, RunDirectory::open(run_), changes_.given());
  const SignalGuard signals;
  AuditOptions options{.done = done()};
  if (count_ > 0)
    options.count = count_;
  Audit audit;
  trained.trainer.evaluating([&] {
    audit = likely::audit(description_, trained.configuration, trained.trainer.model(),
                          *trained.data, trained.device, options);
  });
  if (!json_file_.empty())
    replace_file(real_file_system(), json_file_, audit.to_json());
  fmt::print("{}", audit.to_table());
  return audit.passed() ? 0 : 5;
}

void ModelMain::add_report() {
  CLI::App& verb = line_.verb(
      "report", "write the run's report.html anew", {"likely report runs/first"}, [this] {
        const RunDirectory run = RunDirectory::open_to_write(run_, "report");
        replace_file(real_file_system(), run.report(), report_html(run, description_));
        fmt::print("{}\n", run.report());
        return 0;
      });
  verb.add_option("RUN", run_, "the folder of the run")->required()->type_name("");
}

void ModelMain::add_export() {
  CLI::App& verb = line_.verb(
      "export", "write the weights as PyTorch names them and lays them out, as safetensors",
      {"likely export runs/first", "likely export runs/first --out weights.safetensors"}, [this] {
        const RunDirectory run = RunDirectory::open(run_);
        TrainedRun trained(description_, run, changes_.given());
        const std::string path = out_.empty() ? run.exported() : out_;
        save_safetensors(path, {trained.trainer.for_pytorch(),
                                {{"model", description_.name},
                                 {"step", fmt::format("{}", trained.trainer.step())}}});
        fmt::print("{}\n", path);
        return 0;
      });
  add_run(verb);
  verb.add_option("--out", out_, "the file [RUN/pytorch.safetensors]")->type_name("FILE");
}

void ModelMain::add_plan() {
  CLI::App& verb = line_.verb(
      "plan", "what training will need: parameters, FLOPs, memory to the byte",
      {fmt::format("likely plan {} --preset small --batch 1000", description_.name)}, [this] {
        const Plan plan = likely::plan(description_, settings_.resolve(description_));
        fmt::print("{}", json_ ? plan.to_json() : plan.to_table());
        return 0;
      });
  settings_.add_to(verb, description_);
  verb.add_flag("--json", json_, "as JSON")->group("Output");
}

void ModelMain::add_check() {
  CLI::App& verb = line_.verb(
      "check-gradients", "the loss in f64 against central differences, first and second order",
      {fmt::format("likely check-gradients {} --data bars", description_.name)}, [this] {
        CheckTally tally;
        for (const ModelCheck& check :
             check_model(description_, settings_.resolve(description_), directions_)) {
          fmt::print("{}\n", to_line(description_.name, check));
          tally.add(check.order, check.error, check.passed());
        }
        fmt::print("{}\n", tally.line());
        return tally.failed() == 0 ? 0 : 5;
      });
  settings_.add_to(verb, description_);
  verb.add_option("--directions", directions_, "random directions of all parameters [4]")
      ->type_name("")
      ->check(whole_number_in(of_counts));
}

}  // namespace

int run_model(const ModelDescription& description, int argc, char** argv) {
  return ModelMain(description).run(argc, argv);
}

}  // namespace likely
