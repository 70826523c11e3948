#include "zoo/run/command_line.h"

#include <fmt/format.h>

#include <new>
#include <sstream>

#include "tensor/error.h"
#include "tensor/nearest.h"
#include "tensor/shown.h"
#include "tensor/streams.h"
#include "zoo/run/signals.h"

namespace likely {
namespace {

std::vector<std::string> option_names(const CLI::App& verb) {
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options())
    for (const std::string& name : option->get_lnames())
      names.push_back("--" + name);
  return names;
}

int failed(int exit_code, const std::string& message) {
  to_stderr("error: {}\n", message);
  return exit_code;
}

template <class T>
CLI::Validator check_of(const Range& range) {
  return {[range](std::string& text) {
            T value{};
            return read_number(text, range, value);
          },
          ""};
}

}  // namespace

CLI::Validator whole_number_in(const Range& range) { return check_of<std::int64_t>(range); }
CLI::Validator number_in(const Range& range) { return check_of<double>(range); }

int run_program(const std::function<int()>& work) {
  open_standard_streams();
  try {
    const int exit_code = work();
    if (exit_code == 0)
      finish_results();
    return exit_code;
  } catch (const UsageError& error) {
    return failed(1, error.what());
  } catch (const DataError& error) {
    return failed(2, error.what());
  } catch (const OutOfMemory& error) {
    return failed(3, error.what());
  } catch (const std::bad_alloc&) {
    return failed(3, "the system has no memory left. Use a smaller batch or model.");
  } catch (const SaveError& error) {
    return failed(4, error.what());
  } catch (const Diverged& error) {
    return failed(5, error.what());
  } catch (const Interrupted& interrupted) {
    return failed(interrupted.exit_code, "stopped by a signal; nothing was written.");
  } catch (const std::exception& error) {
    return failed(2, error.what());
  }
}

bool parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    std::ostringstream help;
    app.exit(asked, help, help);
    write_help(help.str());
    return false;
  } catch (const CLI::ParseError& error) {
    fail<UsageError>("{}: {}. `{} --help` shows what there is.", app.get_name(), error.what(),
                     app.get_name());
  }
  return true;
}

CommandLine::CommandLine(const std::string& name, const std::string& description)
    : app_(description, name) {
  app_.allow_extras();
  app_.get_formatter()->column_width(34);
}

CLI::App& CommandLine::verb(const std::string& name, const std::string& help,
                            const std::vector<std::string>& examples, std::function<int()> run) {
  CLI::App* verb = app_.add_subcommand(name, help);
  verb->allow_extras();
  if (!examples.empty())
    verb->footer(fmt::format("Examples:\n  {}", joined(examples, "\n  ")));
  verbs_.emplace_back(verb, std::move(run));
  return *verb;
}

int CommandLine::run(int argc, char** argv) {
  return run_program([&] { return parse_and_run(argc, argv); });
}

int CommandLine::parse_and_run(int argc, char** argv) {
  if (!parse(app_, argc, argv))
    return 0;
  for (const auto& [verb, run] : verbs_)
    if (verb->parsed()) {
      require_nothing_left(*verb);
      return run();
    }
  std::vector<std::string> names;
  for (const auto& [verb, run] : verbs_)
    names.push_back(verb->get_name());
  const std::vector<std::string> left = app_.remaining();
  if (!left.empty())
    fail<UsageError>("{}: there is no verb {}. Did you mean {}? There are {}.", app_.get_name(),
                     shown(left.front()), nearest(left.front(), names), joined(names));
  write_help(app_.help());
  return 1;
}

void CommandLine::require_nothing_left(const CLI::App& verb) const {
  std::vector<std::string> left = verb.remaining();
  for (const std::string& word : app_.remaining())
    left.push_back(word);
  if (left.empty())
    return;
  const std::string word = left.front().substr(0, left.front().find('='));
  require<UsageError>(!word.starts_with("-"),
                      "{0}: there is no option {1}. Did you mean {2}? `{3} {0} --help` lists all.",
                      verb.get_name(), shown(word), nearest(word, option_names(verb)),
                      app_.get_name());
  fail<UsageError>("{0}: {1} is one word too many. `{2} {0} --help` shows what it takes.",
                   verb.get_name(), in_quotes(word), app_.get_name());
}

}  // namespace likely
