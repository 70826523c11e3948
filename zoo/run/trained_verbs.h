// TrainedVerbs: what a model's binary does with a run that has a checkpoint.
#pragma once
#include "zoo/run/command_line.h"
#include "zoo/run/pictures.h"
#include "zoo/run/setting_options.h"
#include "zoo/run/trained.h"

namespace likely {

class TrainedVerbs {
 public:
  // Adds sample, evaluate, audit, report and export; both outlive this.
  TrainedVerbs(const ModelDescription& description, CommandLine& line);

 private:
  void add_sample(CommandLine& line);
  void add_evaluate(CommandLine& line);
  void add_audit(CommandLine& line);
  void add_report(CommandLine& line);
  void add_export(CommandLine& line);

  int sample();
  void require_given(const Model& model) const;
  int evaluate();
  Evaluation evaluated(TrainedRun& trained) const;
  // Which must be what the run learnt from, unless --data-changed says otherwise.
  const DataSet& data_of(TrainedRun& trained, const char* verb) const;
  int audit();
  int report();
  int export_weights();

  void add_run(CLI::App& verb);
  Done done() const;

  const ModelDescription& description_;
  SettingOptions changes_;
  std::string run_;
  std::optional<std::string> out_, json_file_;
  std::int64_t count_ = 0, importance_samples_ = 0, also_judged_ = 0;
  std::optional<std::uint64_t> noise_seed_;
  Pictures::Given given_;
  bool data_changed_ = false, interpolate_ = false, quiet_ = false;
};

}  // namespace likely
