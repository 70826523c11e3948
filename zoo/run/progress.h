// Progress: one redrawn line on a terminal, else a plain line now and then.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace likely {

enum class Verbosity { quiet, normal, verbose };

// How a stream is written to: redrawing needs a terminal and no CI. Colours are never used.
struct Terminal {
  int descriptor = 2;
  bool redraws = false;
  static Terminal of(int descriptor);
};

// What stays the same from line to line.
struct ProgressPlan {
  std::int64_t steps = 0;             // of the whole run
  std::int64_t batches_an_epoch = 0;  // 0: the data is endless
  std::int64_t batches_a_step = 1;    // five of a critic's; known once a step was taken
  std::int64_t images_a_batch = 0;
  double flops_a_step = 0;  // of products and convolutions
  double peak_flops = 0;    // a second; 0: not known
};

// What a line says beside place and time.
struct ProgressValues {
  double loss = 0, rate = 0;
  std::optional<double> nats, gap;                       // of the last evaluation
  std::vector<std::pair<std::string, double>> recorded;  // shown where not the loss
};

class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  Progress(Terminal terminal, Verbosity verbosity, const ProgressPlan& plan, std::int64_t begin,
           Clock::time_point now);

  void set_step(double flops, std::int64_t batches) {  // what one takes
    plan_.flops_a_step = flops;
    plan_.batches_a_step = batches;
  }
  void step(std::int64_t step, const ProgressValues& values, Clock::time_point now);
  // A line of its own, above the redrawn one: Verbosity::verbose ones only with -v, and what went
  // wrong, Verbosity::quiet, even with -q.
  void say(const std::string& text, Verbosity from = Verbosity::normal);
  void finish();  // ends the redrawn line
  // Within an epoch batches are counted, else steps.
  // "epoch 3/20  41 %|####2     | 192/469 [00:03<00:05, 61.2 it/s]  loss 91.2 …"
  std::string line(const ProgressValues& values, Clock::time_point now) const;

 private:
  Terminal terminal_;
  Verbosity verbosity_;
  ProgressPlan plan_;
  std::int64_t begin_, step_, drawn_step_;
  Clock::time_point began_, drawn_;
  double rate_ = 0;  // steps a second, smoothed
  std::size_t width_ = 0;
};

std::string clock_text(double seconds);  // "00:05", "1:02:03"
std::string scaled(double value);        // "7.8k", "1.2M", "912"
std::string bytes_text(double bytes);    // "12.3 MB"

}  // namespace likely
