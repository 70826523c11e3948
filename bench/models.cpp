// Training steps of the reference workloads, ours beside PyTorch's, process by process in turn.
//
//   ./likely bench models                                         ours alone
//   ./likely bench models --peer-python ~/peers/bin/python --peer-script peer_torch.py
//   ./likely bench models --device cuda --precision tf32 …        both on the GPU
//
// A step is: draw the noise, forward, loss, backward, guard, Adam. The input is made once. Where a
// workload has parts, each is timed by itself.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/command.h"
#include "bench/median.h"
#include "bench/workloads.h"
#include "kernels/choice.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "tensor/file.h"
#include "tensor/json.h"
#include "tensor/streams.h"
#include "zoo/run/machine.h"
#include "zoo/run/output_place.h"

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

const Workload& workload_named(const std::string& name) {
  return *std::find_if(workloads().begin(), workloads().end(),
                       [&](const Workload& workload) { return workload.name == name; });
}

double median_ms(Trained& trained, const Part& part, int steps, int warm_up) {
  std::vector<double> times;
  for (int i = 0; i < warm_up + steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const Tensor loss = trained.run(part);
    const float value = loss.item<float>();  // waits for the device
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    require<Diverged>(std::isfinite(value), "bench: the loss is not finite.");
    if (i >= warm_up)
      times.push_back(took.count());
  }
  return median(times);
}

// A peer: how PyTorch is run, and whether glibc keeps its heap (a user can set that without
// changing code).
struct Peer {
  std::string name, mode, environment;
};
const std::string heap_kept =
    "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456 ";
std::vector<Peer> peers_of(const Workload& workload, bool on_cpu) {
  std::vector<Peer> peers;
  const bool images = workload.name != "vae";
  for (const char* mode : {"eager", "compile"})
    for (const char* layout : {"", "+channels_last"})
      if (*layout == 0 || images)
        for (const bool kept : {false, true})
          if (on_cpu || !kept)
            peers.push_back({std::string(mode) + layout + (kept ? ", heap kept" : ""),
                             std::string(mode) + layout, kept ? heap_kept : ""});
  return peers;
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text)
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

Json run_process(const std::string& command, const std::filesystem::path& report) {
  std::filesystem::remove(report);
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  require(status == 0, "bench: this command failed: {}. Run it by hand to see why.", command);
  return parse_json(read_file(report), "bench: " + report.string());
}

struct Options {
  std::string workload = "vae", python, script, json, kernels, device = "cpu", precision = "f32",
              graphs = "on";
  std::vector<std::string> only;
  int steps = 300, warm_up = 30, rounds = 7, threads = kernels::threads();
  bool once = false;
  std::optional<OutputPlace> place = {};  // of --json

  std::string where() const {
    return device == "cpu" ? fmt::format("{} threads", threads)
                           : fmt::format("{}, {}, graphs {}", device, precision, graphs);
  }
};

void once(const Options& o) {
  kernels::set_threads(o.threads);
  const Workload& workload = workload_named(o.workload);
  const Device device = timed_device(o.device);
  if (!o.kernels.empty())
    kernels::choose_kernels(o.kernels, device);
  if (o.precision == "tf32")
    kernels::choose_products(kernels::Products::tf32);
  Trained trained(workload, device, o.graphs == "on" ? Trained::Graphs::on : Trained::Graphs::off);
  Json report{{"workload", o.workload}, {"parameters", trained.parameter_count()}};
  for (const Part& part : workload.parts) {
    const double ms = median_ms(trained, part, o.steps, o.warm_up);
    report["parts"][part.name]["median_ms"] = ms;
    to_stdout("{}  {}  {} parameters  {:.3f} ms  {:.0f} samples/s  {}\n", o.workload, part.name,
              trained.parameter_count(), ms, 1e3 * static_cast<double>(workload.batch) / ms,
              o.where());
  }
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  to_stdout("peak {:.0f} MiB\n", static_cast<double>(use.ru_maxrss) / 1024);
  report["peak_rss_mib"] = static_cast<double>(use.ru_maxrss) / 1024;
  if (o.place)
    o.place->write(report.dump());
}

// One part: ours and a peer's, pair by pair.
struct Pairs {
  std::vector<double> ours, theirs, ratios;
};

void print_part(const Options& o, const Workload& workload, const Part& part,
                const std::vector<Peer>& peers, const std::vector<Pairs>& pairs, Json& result) {
  std::vector<double> ours;
  for (const Pairs& pair : pairs)
    ours.insert(ours.end(), pair.ours.begin(), pair.ours.end());
  to_stdout(
      "{} {}, {}, medians of {} rounds of {} steps; ratio = PyTorch / likely, pair by pair\n\n",
      workload.name, part.name, o.where(), o.rounds, o.steps);
  to_stdout("{:<44}{:>10}{:>10}{:>22}\n", "", "ms", "ratio", "lower 95 % bound");
  to_stdout("{:<44}{:>10.3f}\n",
            fmt::format("likely ({} kernels)", o.kernels.empty() ? "own" : o.kernels),
            median(ours));
  Json& found = result["parts"][part.name];
  found["likely_ms"] = median(ours);
  for (std::size_t p = 0; p < peers.size(); ++p) {
    const double ratio = median(pairs[p].ratios), bound = lower_bound_of_median(pairs[p].ratios);
    to_stdout("{:<44}{:>10.3f}{:>10.2f}{:>22.2f}\n", "PyTorch " + peers[p].name,
              median(pairs[p].theirs), ratio, bound);
    found["peers"].push_back({{"mode", peers[p].name},
                              {"ms", median(pairs[p].theirs)},
                              {"ratio", ratio},
                              {"lower_bound", bound},
                              {"ratios", pairs[p].ratios}});
  }
  to_stdout("\n");
}

void compare(const Options& o, const std::string& self) {
  const Workload& workload = workload_named(o.workload);
  std::vector<Peer> peers = peers_of(workload, o.device == "cpu");
  for (const std::string& name : o.only)
    require<UsageError>(
        std::any_of(peers.begin(), peers.end(), [&](const Peer& p) { return p.name == name; }),
        "bench models: no mode of PyTorch is named {}.", name);
  if (!o.only.empty())
    std::erase_if(peers, [&](const Peer& peer) {
      return std::find(o.only.begin(), o.only.end(), peer.name) == o.only.end();
    });
  const auto report =
      std::filesystem::temp_directory_path() / fmt::format("likely-bench-{}.json", getpid());
  const std::string common =
      fmt::format(" --workload {} --threads {} --steps {} --warmup {} --device {} --json {}",
                  o.workload, o.threads, o.steps, o.warm_up, o.device, quoted(report.string()));
  const std::string mine = quoted(self) + " --once --precision " + o.precision + " --graphs " +
                           o.graphs + (o.kernels.empty() ? "" : " --kernels " + quoted(o.kernels)) +
                           common;
  const std::string rounded = o.precision == "tf32" ? " --tf32" : "";
  std::map<std::string, std::vector<Pairs>> pairs;  // by part
  for (int round = 0; round < o.rounds; ++round)
    for (std::size_t p = 0; p < peers.size(); ++p) {
      const Json ours = run_process(mine, report);
      const Json theirs =
          run_process(peers[p].environment + quoted(o.python) + " " + quoted(o.script) + common +
                          rounded + " --mode " + peers[p].mode,
                      report);
      for (const Part& part : workload.parts) {
        const double a = ours["parts"][part.name]["median_ms"],
                     b = part.of_peer * theirs["parts"][part.name]["median_ms"].get<double>();
        std::vector<Pairs>& of_part = pairs[part.name];
        of_part.resize(peers.size());
        of_part[p].ours.push_back(a);
        of_part[p].theirs.push_back(b);
        of_part[p].ratios.push_back(b / a);
        to_stderr("round {} of {}, {}: likely {:.3f} ms, PyTorch {} {:.3f} ms\n", round + 1,
                  o.rounds, part.name, a, peers[p].name, b);
      }
    }
  std::filesystem::remove(report);
  Json result{{"workload", o.workload},
              {"threads", o.threads},
              {"device", o.device},
              {"precision", o.precision}};
  for (const Part& part : workload.parts)
    print_part(o, workload, part, peers, pairs[part.name], result);
  if (o.place)
    o.place->write(result.dump(1) + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Training steps of the reference workloads, ours beside PyTorch's", "bench models"};
  Options o;
  std::vector<std::string> names;
  for (const Workload& workload : workloads())
    names.push_back(workload.name);
  app.add_option("--workload", o.workload, "which model")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  app.add_option("--peer-python", o.python, "a Python that has torch");
  app.add_option("--peer-script", o.script, "peer_torch.py");
  app.add_option("--only", o.only, "these modes of PyTorch alone, as the table names them");
  app.add_option("--kernels", o.kernels,
                 "ours: own, vendor, fastest, fastest-vendor, or family=choice [own]");
  app.add_option("--rounds", o.rounds, "pairs of processes for each PyTorch mode")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--steps", o.steps, "timed steps a process")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--warmup", o.warm_up, "steps before")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--threads", o.threads, "of both")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--device", o.device, "of both")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--precision", o.precision, "of both, in products and convolutions")
      ->check(CLI::IsMember({"f32", "tf32"}))
      ->capture_default_str();
  app.add_option("--graphs", o.graphs,
                 "ours on a GPU: replay the recorded step, or launch by launch")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  app.add_option("--json", o.json, "also write the result to this file");
  app.add_flag("--once", o.once, "ours alone, in this process");
  return run_command(app, argc, argv, [&] {
    require<UsageError>(o.python.empty() == o.script.empty(),
                        "bench models: --peer-python and --peer-script go together.");
    if (!o.json.empty())
      o.place.emplace("bench models: --json", o.json);
    timed_device(o.device);  // before the peer takes its time
    if (o.once || o.python.empty())
      once(o);
    else
      compare(o, std::filesystem::read_symlink("/proc/self/exe").string());
  });
}
