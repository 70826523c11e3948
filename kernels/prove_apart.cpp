// A child process, its lines of JSON, and what they come to.
#include "kernels/prove_apart.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <optional>

#include "kernels/gpu.h"
#include "kernels/guards.h"
#include "kernels/module.h"
#include "kernels/parallel.h"
#include "kernels/verdict_json.h"
#include "tensor/json.h"
#include "tensor/streams.h"

namespace likely::kernels {
namespace {

using nlohmann::ordered_json;
using Milliseconds = std::chrono::milliseconds;

// ---- The child, seen from its parent

class Child {
 public:
  Child(std::size_t first, int index, const std::vector<Module>& modules, Milliseconds silence)
      : silence_(silence), patience_(10 * silence) {
    int ends[2];
    require(pipe2(ends, O_CLOEXEC) == 0, "proofs: no pipe: {}.", std::strerror(errno));
    from_ = ends[0];
    const std::string program = path_beside_library("likely-prove");
    std::vector<std::string> words{program, std::to_string(first), std::to_string(index)};
    for (const Module& module : modules)
      words.insert(words.end(), {module.file, module.library});
    std::vector<char*> arguments;
    for (std::string& word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    const int error =
        posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error)
      close(from_);
    require<UsageError>(!error, "proofs: {} cannot be started: {}. Build the target likely-prove.",
                        program, std::strerror(error));
  }
  Child(const Child&) = delete;
  ~Child() {
    end();
    close(from_);
  }

  // Nothing where it ended, or was silent.
  std::optional<std::string> line() {
    using Clock = std::chrono::steady_clock;
    const auto last = Clock::now() + patience_;
    std::size_t newline;
    while ((newline = lines_.find('\n')) == std::string::npos) {
      const auto left = std::chrono::duration_cast<Milliseconds>(last - Clock::now()).count();
      pollfd waited{from_, POLLIN, 0};
      const int ready = poll(&waited, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
      if (ready < 0 && errno == EINTR)
        continue;
      silent_ = ready == 0;
      char bytes[4096];
      const ssize_t count = ready > 0 ? read(from_, bytes, sizeof bytes) : 0;
      if (count <= 0)
        return std::nullopt;
      lines_.append(bytes, static_cast<std::size_t>(count));
    }
    patience_ = silence_;
    const std::string line = lines_.substr(0, newline);
    lines_.erase(0, newline + 1);
    return line;
  }

  // Ends it, and says how it ended.
  std::string end() {
    if (process_) {
      kill(process_, SIGKILL);  // changes nothing where it has ended
      waitpid(process_, &status_, 0);
      process_ = 0;
    }
    if (silent_)
      return fmt::format("it hangs: no word for {} s",
                         static_cast<double>(patience_.count()) / 1000);
    return WIFSIGNALED(status_)
               ? fmt::format("it crashed: {}", strsignal(WTERMSIG(status_)))
               : fmt::format("its process ended with status {}", WEXITSTATUS(status_));
  }

 private:
  Milliseconds silence_, patience_;  // a device takes time to open
  pid_t process_ = 0;
  int from_ = -1, status_ = 0;
  std::string lines_;
  bool silent_ = false;
};

// What one child says, until it ends. Returns whether there are no more cases behind `next`, the
// case that is to be run next.
bool follow(Child& child, std::vector<Verdict>& verdicts, std::size_t& next,
            const std::function<void(std::size_t)>& begins) {
  const std::size_t first = next;
  std::optional<Verdict> begun;
  while (const auto line = child.line()) {
    const ordered_json said =
        parse_json(*line, "proofs: a line of the process that proves kernels");
    if (said.contains("refused"))
      fail("{}", said["refused"].get<std::string>());
    if (said.contains("kernels")) {
      if (first == 0)
        begins(said["kernels"].get<std::size_t>());
    } else if (said.contains("begin")) {
      begun = verdict_from(said["begin"]);
      ++next;
    } else if (said.contains("verdict")) {
      verdicts.push_back(verdict_from(said["verdict"]));
      begun.reset();
    } else {
      return true;
    }
  }
  const std::string how = child.end();
  require(next > first, "proofs: the process that proves kernels did not come to the first: {}.",
          how);
  if (begun) {
    begun->problem = how;
    verdicts.push_back(*begun);
  }
  return false;
}

// ---- The child itself

void say(const char* what, const ordered_json& json) {
  to_stdout("{}\n",
            ordered_json{{what, json}}.dump(-1, ' ', true, ordered_json::error_handler_t::replace));
}

void prove_all(Device device, std::size_t first, std::size_t first_variant) {
  guard_memory(device);
  const std::vector<const Variant*>& all = all_variants();
  say("kernels", all.size() - first_variant);
  std::size_t number = 0;
  for (std::size_t i = first_variant; i < all.size(); ++i)
    for (const Proof& proof : all[i]->proofs()) {
      if (number++ < first)
        continue;
      say("begin", to_json({.kernel = all[i]->name(), .proof = proof.name, .bar = proof.bar}));
      const Verdict verdict = prove(*all[i], proof, device);
      say("verdict", to_json(verdict));
      if (!verdict.problem.empty())
        std::_Exit(0);  // what it did may have broken the device for this process
    }
  say("end", nullptr);
}

}  // namespace

std::vector<Verdict> prove_apart(const std::vector<Module>& modules, int index,
                                 Milliseconds silence,
                                 const std::function<void(std::size_t)>& begins) {
  std::vector<Verdict> verdicts;
  for (std::size_t next = 0;;) {
    Child child(next, index, modules, silence);
    if (follow(child, verdicts, next, begins))
      return verdicts;
  }
}

int run_proofs(std::size_t first, int index, const std::vector<Module>& modules) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  set_threads(1);  // the references are small: threads would wait for each other
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})  // the parent's, and no kernel's failure
    std::signal(signal, SIG_IGN);
  try {
    open_cuda_unproven(modules[0].file);
    std::size_t before = 0;
    for (std::size_t i = 1; i < modules.size(); ++i) {
      before = all_variants().size();
      const std::string problem = open_module(modules[i].file, modules[i].library);
      require(problem.empty(), "proofs: {} cannot be opened: {}.", modules[i].file, problem);
    }
    prove_all({Device::cuda, index}, first, before);
  } catch (const std::exception& error) {
    say("refused", error.what());
    return 1;
  }
  std::_Exit(0);
}

}  // namespace likely::kernels
