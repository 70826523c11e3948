// Training steps of the reference workloads, ours beside PyTorch's, process by process in turn.
//
//   ./likely bench models                                         ours alone
//   ./likely bench models --peer-python ~/peers/bin/python --peer-script peer_torch.py
//
// A step is: draw the noise, forward, loss, backward, guard, Adam. The input is made once.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/median.h"
#include "kernels/copy.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "zoo/models/vae.h"

using namespace likely;
using Json = nlohmann::json;

namespace {

// The k-th smallest value with P(median < it) ≤ 5 %: exact for any distribution (sign test); -inf
// for too few.
double lower_bound_of_median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const int n = static_cast<int>(values.size());
  double term = std::pow(0.5, n), tail = 0;
  int rank = 0;
  for (int k = 0; k < n && tail + term <= 0.05; ++k) {
    tail += term;
    term *= static_cast<double>(n - k) / (k + 1);
    rank = k + 1;
  }
  return rank ? values[static_cast<std::size_t>(rank) - 1] : -HUGE_VAL;
}

struct Timing {
  double median_ms, peak_mib;
  std::int64_t parameters;
};

// Kingma & Welling's VAE, 784-500-20, batch 128, Adam 1e-3; pixels are one with probability 0.13.
Timing time_vae(int steps, int warm_up) {
  Vae model({28, 28, 1}, {});
  Tensor state = make_step_state({.seed = 1, .rate = 1e-3f});
  model.module().initialise(1);
  Parameters parameters(model.module());
  Optimiser optimiser(parameters, {});
  Random random(state);
  const Tensor share = kernels::full({128, 28, 28, 1}, 0.13);
  const Batch batch{kernels::bernoulli(share, random.draw("bench/input"))};
  std::vector<double> times;
  for (int i = 0; i < warm_up + steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    random.begin_update();
    const Tensor loss = optimiser.update(state, [&](int) { return model.loss(0, batch, random); });
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    require<Diverged>(std::isfinite(loss.item<float>()), "bench: the loss is not finite.");
    if (i >= warm_up)
      times.push_back(took.count());
  }
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return {median(times), static_cast<double>(use.ru_maxrss) / 1024, parameters.count()};
}

// A peer: how PyTorch is run, and whether glibc keeps its heap (a user can set that without
// changing code).
struct Peer {
  std::string name, mode, environment;
};
const std::string heap_kept =
    "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456 ";
const std::vector<Peer> peers{{"eager", "eager", ""},
                              {"eager, heap kept", "eager", heap_kept},
                              {"compile", "compile", ""},
                              {"compile, heap kept", "compile", heap_kept}};

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text)
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

Json run_process(const std::string& command, const std::filesystem::path& report) {
  std::filesystem::remove(report);
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  std::ifstream file(report);
  require(status == 0 && file.good(), "bench: this command failed: {}. Run it by hand to see why.",
          command);
  return Json::parse(file);
}

struct Options {
  std::string workload = "vae", python, script, json;
  int steps = 300, warm_up = 30, rounds = 7, threads = 2;
  bool once = false;
};

void once(const Options& o) {
  kernels::set_threads(o.threads);
  const Timing timing = time_vae(o.steps, o.warm_up);
  fmt::print("{}  {} parameters  {:.3f} ms a step  {:.0f} images/s  peak {:.0f} MiB  {} threads\n",
             o.workload, timing.parameters, timing.median_ms, 128e3 / timing.median_ms,
             timing.peak_mib, o.threads);
  if (!o.json.empty())
    std::ofstream(o.json) << Json{{"workload", o.workload},
                                  {"step_ms", timing.median_ms},
                                  {"peak_rss_mib", timing.peak_mib},
                                  {"parameters", timing.parameters}};
}

void compare(const Options& o, const std::string& self) {
  const auto report =
      std::filesystem::temp_directory_path() / fmt::format("likely-bench-{}.json", getpid());
  const std::string common =
      fmt::format(" --workload {} --threads {} --steps {} --warmup {} --json {}", o.workload,
                  o.threads, o.steps, o.warm_up, quoted(report.string()));
  std::vector<double> ours;
  std::vector<std::vector<double>> theirs(peers.size()), ratios(peers.size());
  for (int round = 0; round < o.rounds; ++round)
    for (std::size_t p = 0; p < peers.size(); ++p) {
      const Json mine = run_process(quoted(self) + " --once" + common, report);
      const Json peer = run_process(peers[p].environment + quoted(o.python) + " " +
                                        quoted(o.script) + common + " --mode " + peers[p].mode,
                                    report);
      ours.push_back(mine["step_ms"]);
      theirs[p].push_back(peer["step_ms"]);
      ratios[p].push_back(theirs[p].back() / ours.back());
      fmt::print(stderr, "round {} of {}: likely {:.3f} ms, PyTorch {} {:.3f} ms\n", round + 1,
                 o.rounds, ours.back(), peers[p].name, theirs[p].back());
    }
  std::filesystem::remove(report);
  fmt::print(
      "{}, {} threads, medians of {} rounds of {} steps; ratio = PyTorch / likely, pair by "
      "pair\n\n",
      o.workload, o.threads, o.rounds, o.steps);
  fmt::print("{:<28}{:>10}{:>10}{:>22}\n", "", "ms/step", "ratio", "lower 95 % bound");
  fmt::print("{:<28}{:>10.3f}\n", "likely (own kernels)", median(ours));
  Json result{{"workload", o.workload}, {"threads", o.threads}, {"likely_ms", median(ours)}};
  for (std::size_t p = 0; p < peers.size(); ++p) {
    const double ratio = median(ratios[p]), bound = lower_bound_of_median(ratios[p]);
    fmt::print("{:<28}{:>10.3f}{:>10.2f}{:>22.2f}\n", "PyTorch " + peers[p].name, median(theirs[p]),
               ratio, bound);
    result["peers"].push_back({{"mode", peers[p].name},
                               {"ms", median(theirs[p])},
                               {"ratio", ratio},
                               {"lower_bound", bound},
                               {"ratios", ratios[p]}});
  }
  if (!o.json.empty())
    std::ofstream(o.json) << result.dump(1) << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Training steps of the reference workloads, ours beside PyTorch's", "bench models"};
  Options o;
  app.add_option("--workload", o.workload, "vae")
      ->check(CLI::IsMember({"vae"}))
      ->capture_default_str();
  app.add_option("--peer-python", o.python, "a Python that has torch");
  app.add_option("--peer-script", o.script, "peer_torch.py");
  app.add_option("--rounds", o.rounds, "pairs of processes for each PyTorch mode")
      ->capture_default_str();
  app.add_option("--steps", o.steps, "timed steps a process")->capture_default_str();
  app.add_option("--warmup", o.warm_up, "steps before")->capture_default_str();
  app.add_option("--threads", o.threads)->capture_default_str();
  app.add_option("--json", o.json, "also write the result to this file");
  app.add_flag("--once", o.once, "ours alone, in this process");
  CLI11_PARSE(app, argc, argv);
  try {
    require<UsageError>(o.python.empty() == o.script.empty(),
                        "bench models: --peer-python and --peer-script go together.");
    if (o.once || o.python.empty())
      once(o);
    else
      compare(o, std::filesystem::read_symlink("/proc/self/exe").string());
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
