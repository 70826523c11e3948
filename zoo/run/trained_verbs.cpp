// Each verb checks where its results go before it computes them; prints them; writes them last.
#include "zoo/run/trained_verbs.h"

#include "tensor/safetensors.h"
#include "tensor/streams.h"
#include "zoo/run/audit.h"
#include "zoo/run/metrics.h"
#include "zoo/run/output_place.h"
#include "zoo/run/png.h"
#include "zoo/run/progress.h"
#include "zoo/run/report.h"
#include "zoo/run/signals.h"

namespace likely {

TrainedVerbs::TrainedVerbs(const ModelDescription& description, CommandLine& line)
    : description_(description) {
  add_sample(line);
  add_evaluate(line);
  add_audit(line);
  add_report(line);
  add_export(line);
}

void TrainedVerbs::add_run(CLI::App& verb) {
  verb.add_option("RUN", run_, "the folder of the run")->required()->type_name("");
  changes_.add_changes_to(verb, description_);
}

// Shows how much is done where a terminal redraws; stops the work where a signal asks.
Done TrainedVerbs::done() const {
  return [redraws = Terminal::of(2).redraws && !quiet_](std::int64_t finished, std::int64_t of) {
    if (redraws)
      to_stderr("\r{}/{}{}", finished, of, finished == of || requested_exit() ? "\n" : "");
    stop_where_asked();
  };
}

void TrainedVerbs::add_sample(CommandLine& line) {
  CLI::App& verb = line.verb(
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
void TrainedVerbs::require_given(const Model& model) const {
  const std::int64_t classes = model.classes();
  require<UsageError>(classes > 0 || (!given_.label && given_.guidance == 1),
                      "sample: this run's {} takes no labels. Leave out --label and --guidance.",
                      description_.name);
  require<UsageError>(!given_.label || (*given_.label >= 0 && *given_.label < classes),
                      "sample: there is no label {}. Use 0 to {}.", given_.label.value_or(0),
                      classes - 1);
}

int TrainedVerbs::sample() {
  const RunDirectory run = RunDirectory::open(run_);
  const std::string usual = interpolate_ ? "/interpolations.png" : "/samples.png";
  const OutputPlace out("sample: --out", out_.value_or(run.samples() + usual));
  TrainedRun trained(description_, run, changes_.given());
  Pictures pictures(trained.trainer, trained.modes(), trained.device,
                    fmt::format("{} on {}", description_.name, trained.facts.name));
  require_given(trained.trainer.model());
  const std::uint64_t seed = noise_seed_.value_or(trained.configuration.seed());
  const std::int64_t count = count_ > 0 ? count_ : pictures.usual_count();
  const std::int64_t rows = (count - 1) / Pictures::columns + 1;
  if (!trained.modes())
    require_fits_png("sample: --count", interpolate_ ? rows * Pictures::columns : count,
                     trained.facts.image, {Pictures::columns});
  const Tensor images =
      interpolate_ ? pictures.interpolations(rows, seed) : pictures.samples(count, seed, given_);
  require<UsageError>(images.defined(),
                      "sample: {} has no latents to interpolate. Leave --interpolate out.",
                      description_.name);
  out.write(png_of(images, {Pictures::columns}));
  to_stdout("{}\n", out.path());
  return 0;
}

void TrainedVerbs::add_evaluate(CommandLine& line) {
  CLI::App& verb =
      line.verb("evaluate", "the likelihood of test images; or samples judged, where there is none",
                {"likely evaluate runs/first",
                 "likely evaluate runs/first --importance-samples 5000 --count 1000 --json e.json"},
                [this] { return evaluate(); });
  add_run(verb);
  add_data_changed(verb, data_changed_);
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
  verb.add_flag("-q,--quiet", quiet_, "no progress")->group("Output");
}

namespace {

// Whether the results go into the run's folder. One that may only be read can be evaluated too,
// into a file elsewhere.
bool run_keeps_results(const RunDirectory& run, bool elsewhere) {
  try {
    require_writable("evaluate: the run", run.path());
    return true;
  } catch (const UsageError& error) {
    require<UsageError>(elsewhere, "{} Or keep the results elsewhere: --json FILE", error.what());
    to_stderr("{} The results go into the file of --json alone.\n", error.what());
    return false;
  }
}

}  // namespace

int TrainedVerbs::evaluate() {
  const RunDirectory run = RunDirectory::open(run_);
  std::optional<OutputPlace> json;
  if (json_file_)
    json.emplace("evaluate: --json", *json_file_);
  std::optional<RunDirectory> kept_in;
  if (run_keeps_results(run, json.has_value()))
    kept_in = RunDirectory::open_to_write(run_, "evaluate");
  TrainedRun trained(description_, run, changes_.given());
  const Evaluation evaluation = evaluated(trained);
  to_stdout("{}", evaluation.to_table());
  FileSystem& files = real_file_system();
  write_each({[&] {
                if (json)
                  json->write(evaluation.to_json());
              },
              [&] {
                if (kept_in)
                  replace_file(files, run.evaluation(), evaluation.to_json());
              },
              [&] {
                if (kept_in)
                  replace_file(files, run.report(), report_html(run, description_));
              }});
  return 0;
}

const DataSet& TrainedVerbs::data_of(TrainedRun& trained, const char* verb) const {
  const DataSet& data = trained.data();
  if (!data_changed_)
    require_same_data(verb, trained.facts, facts_of(data));
  if (!quiet_ && !data.left_out().empty())
    to_stderr("{}\n", data.left_out());
  return data;
}

Evaluation TrainedVerbs::evaluated(TrainedRun& trained) const {
  const SignalGuard signals;
  const Done done = this->done();
  const auto say = [&](const std::string& text) {
    if (!quiet_)
      to_stderr("{}\n", text);
  };
  const DataSet& data = data_of(trained, "evaluate");
  const std::uint64_t seed = trained.configuration.seed();
  Effort effort{.model = description_.name,
                .samples = count_ > 0 ? count_ : judged_count(data),
                .also_judged = also_judged_,
                .seed = seed,
                .done = done};
  std::unique_ptr<ClassReference> reference;
  effort.reference = [&]() -> const ClassReference* {
    if (!reference && has_labels(data))
      reference =
          std::make_unique<ClassReference>(data, cached_classifier(data, say, done).classifier);
    return reference.get();
  };
  effort.importance_samples =
      importance_samples_ > 0 ? importance_samples_ : description_.evaluation_samples;
  const Tensor images = held_out_images(
      data, Split::test, count_ > 0 ? count_ : data.size(Split::test), seed, trained.device);
  Evaluation evaluation;
  trained.trainer.evaluating([&] {
    evaluation = likely::evaluate(trained.trainer.model(), data, Split::test, images, effort);
  });
  require<Diverged>(evaluation.not_finite.empty(), "{}", evaluation.not_finite);
  evaluation.step = trained.trainer.step();
  evaluation.parameters = trained.trainer.parameter_count();
  if (evaluation.by_samples())
    evaluation.untrained = judge_untrained(description_, trained, effort);
  else
    evaluation.baselines = baseline_ladder(data);
  return evaluation;
}

void TrainedVerbs::add_audit(CommandLine& line) {
  CLI::App& verb = line.verb(
      "audit", "prove that the likelihood is one: sums, dependences, coded images, bounds",
      {"likely audit runs/first", "likely audit runs/first --count 10000 --json audit.json"},
      [this] { return audit(); });
  add_run(verb);
  add_data_changed(verb, data_changed_);
  verb.add_option("--count", count_, "test images, drawn at random [1000]")
      ->type_name("")
      ->check(whole_number_in(of_counts));
  verb.add_option("--json", json_file_, "write the results to this file too")->type_name("FILE");
  verb.add_flag("-q,--quiet", quiet_, "no progress")->group("Output");
}

int TrainedVerbs::audit() {
  const RunDirectory run = RunDirectory::open(run_);
  std::optional<OutputPlace> json;
  if (json_file_)
    json.emplace("audit: --json", *json_file_);
  TrainedRun trained(description_, run, changes_.given());
  const DataSet& data = data_of(trained, "audit");
  const SignalGuard signals;
  AuditOptions options{.done = done()};
  if (count_ > 0)
    options.count = count_;
  Audit audit;
  trained.trainer.evaluating([&] {
    audit = likely::audit(description_, trained.configuration, trained.trainer.model(), data,
                          trained.device, options);
  });
  to_stdout("{}", audit.to_table());
  if (json)
    json->write(audit.to_json());
  return audit.passed() ? 0 : 5;
}

void TrainedVerbs::add_report(CommandLine& line) {
  CLI::App& verb = line.verb("report", "write the run's report.html anew",
                             {"likely report runs/first"}, [this] { return report(); });
  verb.add_option("RUN", run_, "the folder of the run")->required()->type_name("");
}

int TrainedVerbs::report() {
  const RunDirectory run = RunDirectory::open_to_write(run_, "report");
  const OutputPlace out("report:", run.report());
  out.write(report_html(run, description_));
  if (const std::string notice = read_metrics(run.metrics()).notice; !notice.empty())
    to_stderr("{}\n", notice);
  to_stdout("{}\n", run.report());
  return 0;
}

void TrainedVerbs::add_export(CommandLine& line) {
  CLI::App& verb = line.verb(
      "export", "write the weights as PyTorch names them and lays them out, as safetensors",
      {"likely export runs/first", "likely export runs/first --out weights.safetensors"},
      [this] { return export_weights(); });
  add_run(verb);
  verb.add_option("--out", out_, "the file [RUN/pytorch.safetensors]")->type_name("FILE");
}

int TrainedVerbs::export_weights() {
  const RunDirectory run = RunDirectory::open(run_);
  const OutputPlace out("export: --out", out_.value_or(run.exported()));
  TrainedRun trained(description_, run, changes_.given());
  const SafeTensors weights{
      trained.trainer.for_pytorch(),
      {{"model", description_.name}, {"step", fmt::format("{}", trained.trainer.step())}}};
  out.write([&](const ByteSink& sink) { write_safetensors(weights, sink); });
  to_stdout("{}\n", out.path());
  return 0;
}

}  // namespace likely
