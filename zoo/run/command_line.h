// CommandLine: verbs with options and help; unknown words name the nearest; exit codes.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "zoo/run/range.h"

namespace likely {

// Checks of an option that takes whole numbers, or numbers, of this range alone.
CLI::Validator whole_number_in(const Range& range);
CLI::Validator number_in(const Range& range);
constexpr Range of_counts{1, 1e6};

// What every main does: makes the standard streams safe, and turns what `work` throws into a
// message on stderr and one of the promised exit codes: 1 usage, 2 bad data or file, 3 out of
// memory, 4 the last save failed or stdout did not take the results, 5 diverged, 130 and 143
// signals.
int run_program(const std::function<int()>& work);

// Reads a program's words. False where they asked for help, which is printed then; UsageError
// where they are wrong.
bool parse(CLI::App& app, int argc, char** argv);

class CommandLine {
 public:
  CommandLine(const std::string& name, const std::string& description);

  // A verb, what its help says and shows as examples, and what it does once its options are read.
  CLI::App& verb(const std::string& name, const std::string& help,
                 const std::vector<std::string>& examples, std::function<int()> run);

  // Reads the words and runs their verb, as a program.
  int run(int argc, char** argv);

 private:
  int parse_and_run(int argc, char** argv);
  void require_nothing_left(const CLI::App& verb) const;

  CLI::App app_;
  std::vector<std::pair<CLI::App*, std::function<int()>>> verbs_;
};

}  // namespace likely
