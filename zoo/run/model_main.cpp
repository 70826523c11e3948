// The verbs of a model's binary.
#include "autograd/check.h"
#include "tensor/streams.h"
#include "zoo/run/check_model.h"
#include "zoo/run/command_line.h"
#include "zoo/run/plan.h"
#include "zoo/run/setting_options.h"
#include "zoo/run/trained_verbs.h"
#include "zoo/run/training.h"

namespace likely {
namespace {

class ModelMain {
 public:
  explicit ModelMain(const ModelDescription& description)
      : description_(description),
        line_(description.name, description.title + ": " + description.summary) {
    add_train();
    add_resume();
    trained_.emplace(description_, line_);
    add_plan();
    add_check();
  }
  int run(int argc, char** argv) { return line_.run(argc, argv); }

 private:
  void add_train();
  void add_resume();
  void add_plan();
  void add_check();

  int train();
  int resume();

  void add_loudness(CLI::App& verb) {
    verb.add_flag("-q,--quiet", quiet_, "no progress")->group("Output");
    verb.add_flag("-v,--verbose", verbose_, "more about checkpoints and memory")->group("Output");
  }
  Verbosity verbosity() const {
    return quiet_ ? Verbosity::quiet : verbose_ ? Verbosity::verbose : Verbosity::normal;
  }
  TrainingOptions training_options() const {
    return {.verbosity = verbosity(),
            .output = json_ ? Output::json : Output::text,
            .data_changed = data_changed_};
  }

  ModelDescription description_;
  CommandLine line_;
  SettingOptions settings_, changes_;
  std::optional<TrainedVerbs> trained_;
  std::string run_, out_;
  int directions_ = 4;
  bool data_changed_ = false, quiet_ = false, verbose_ = false, json_ = false,
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
    to_stdout("{}", configuration.to_toml());
    return 0;
  }
  const RunDirectory run =
      RunDirectory::planned(out_.empty() ? RunDirectory::fresh_name(configuration) : out_);
  return likely::train(description_, configuration, run, Beginning::fresh, training_options());
}

void ModelMain::add_resume() {
  CLI::App& verb =
      line_.verb("resume", "go on from the last checkpoint, as if never stopped",
                 {"likely resume runs/first", "likely resume runs/first --steps 20000"},
                 [this] { return resume(); });
  verb.add_option("RUN", run_, "the folder of the run")->required()->type_name("");
  changes_.add_changes_to(verb, description_);
  changes_.add(verb, "steps", "train to this many steps in all [as before]", "Run");
  changes_.add(verb, "graphs", "steps on a GPU: on or off, the same bits [the run's]", "Run");
  add_data_changed(verb, data_changed_);
  add_loudness(verb);
  verb.add_flag("--json", json_, "results as JSON on stdout")->group("Output");
}

int ModelMain::resume() {
  const RunDirectory run = RunDirectory::open_to_write(run_, "resume");
  const Configuration configuration = run.read_configuration(description_, changes_.given());
  return likely::train(description_, configuration, run, Beginning::resumed, training_options());
}

void ModelMain::add_plan() {
  CLI::App& verb = line_.verb(
      "plan", "what training will need: parameters, FLOPs, memory to the byte",
      {fmt::format("likely plan {} --preset small --batch 1000", description_.name)}, [this] {
        const Plan plan = likely::plan(description_, settings_.resolve(description_));
        to_stdout("{}", json_ ? plan.to_json() : plan.to_table());
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
          to_stdout("{}\n", to_line(description_.name, check));
          tally.add(check.order, check.error, check.passed());
        }
        to_stdout("{}\n", tally.line());
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
