// likely-tool: the verbs that need no model.
#include <fmt/format.h>

#include <filesystem>

#include "autograd/check.h"
#include "tensor/nearest.h"
#include "tensor/shown.h"
#include "tensor/streams.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/command_line.h"
#include "zoo/run/front_door.h"
#include "zoo/run/machine.h"

namespace likely {
namespace {

int list_data(const std::filesystem::path& directory) {
  to_stdout("{}", list_data_sets(directory));
  return 0;
}

int verify_data(const std::string& name, const std::filesystem::path& directory) {
  const Verification verification = verify(find_data_set(name), directory);
  for (const std::string& line : verification.lines)
    to_stdout("{}\n", line);
  return verification.holds ? 0 : 2;
}

const Op& op_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Op* op : all_ops()) {
    if (op->name() == name)
      return *op;
    names.push_back(op->name());
  }
  fail<UsageError>("check-gradients: there is no operation {}. Did you mean {}?", shown(name),
                   nearest(name, names));
}

// One line an op, case, variant and order, then what they came to.
int check_ops(const std::string& name, const std::string& device_name) {
  const Device device = device_named(device_name);
  CheckTally tally;
  const auto check = [&](const Op& op) {
    for (const Finding& finding : check_gradients(op, device)) {
      to_stdout("{}/{}/{}, {} order: error {:.1e}, bar {:.0e}: {}{}{}\n", finding.op,
                finding.case_name, name_of(finding.variant),
                finding.order == 1 ? "first" : "second", finding.error, finding.bar,
                finding.passed() ? "ok" : "WRONG", finding.note.empty() ? "" : "  ", finding.note);
      tally.add(finding.order, finding.error, finding.passed());
    }
  };
  if (name.empty())
    for (const Op* op : all_ops())
      check(*op);
  else
    check(op_named(name));
  to_stdout("{}\n", tally.line());
  return tally.failed() == 0 ? 0 : 5;
}

int run_tool(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "about")  // asked by the front door, not by people
    return run_program([&] {
      write_result(about({argv + 2, argv + argc}));
      return 0;
    });
  std::string action, name, op, device = "auto";
  bool prove = false;
  std::string directory = default_data_directory().string();
  CommandLine line("likely-tool", "likely: the verbs that need no model");
  CLI::App& data = line.verb(
      "data", "data sets: list, or verify the files of one",
      {"likely data list", "likely data verify mnist"},
      [&] { return action == "verify" ? verify_data(name, directory) : list_data(directory); });
  data.add_option("ACTION", action, "list or verify")
      ->type_name("")
      ->check(CLI::IsMember({"list", "verify"}));
  data.add_option("NAME", name, "of the data set to verify")->type_name("");
  CLI::App& doctor_verb = line.verb("doctor", "what this machine and this build can do",
                                    {"likely doctor", "likely doctor --prove"}, [&] {
                                      to_stdout("{}", doctor(directory, prove));
                                      return 0;
                                    });
  doctor_verb.add_flag("--prove", prove, "prove the CUDA kernels again on this machine's GPU");
  for (CLI::App* verb : {&data, &doctor_verb})
    verb->add_option("--data-dir", directory, "folder of downloaded data")
        ->type_name("FOLDER")
        ->capture_default_str();
  CLI::App& check = line.verb("check-gradients",
                              "every operation against central differences, first and second order",
                              {"likely check-gradients", "likely check-gradients softmax",
                               "likely check-gradients --device cuda"},
                              [&] { return check_ops(op, device); });
  check.add_option("OP", op, "only this operation")->type_name("");
  check.add_option("--device", device, "where to compute: auto, cpu or cuda")
      ->type_name("")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  return line.run(argc, argv);
}

}  // namespace
}  // namespace likely

int main(int argc, char** argv) { return likely::run_tool(argc, argv); }
