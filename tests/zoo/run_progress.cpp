#include <doctest/doctest.h>

#include <algorithm>

#include "zoo/run/progress.h"

using namespace likely;

namespace {

using Clock = Progress::Clock;
const Clock::time_point start{};
Clock::time_point at(double seconds) {
  return start +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// What was written to a stream so far.
std::string content(std::FILE* file) {
  std::fflush(file);
  std::rewind(file);
  std::string text(10000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  return text;
}

ProgressPlan plan_of(std::int64_t steps, std::int64_t an_epoch) {
  ProgressPlan plan;
  plan.steps = steps;
  plan.batches_an_epoch = an_epoch;
  plan.images_a_batch = 128;
  plan.flops_a_step = 1e9;
  plan.peak_flops = 1e11;
  return plan;
}

}  // namespace

TEST_CASE(
    "progress: a line has place, bar, time left, loss, bound, gap, rate, speed and share of peak") {
  Progress progress({2, false}, Verbosity::quiet, plan_of(9380, 469), 0, start);
  ProgressValues values{92.123, 0.001, 91.2, 6.4, {}};
  progress.step(1130, values, at(20));
  CHECK(
      progress.line(values, at(20)) ==
      "epoch 3/20  40 %|####      | 192/469 [00:20<02:26, 56.5 it/s]  loss 92.12  nll 91.20 nats  "
      "gap 6.40  lr 0.001  7.2k img/s  56 % of peak");
}

TEST_CASE("progress: what a step records stands beside the loss, but for the loss itself") {
  Progress progress({2, false}, Verbosity::quiet, plan_of(100, 0), 0, start);
  ProgressValues values{-0.5, 0.001, {}, {}, {{"critic_loss", -0.5}, {"critic_gap", 0.61}}};
  progress.step(50, values, at(1));
  CHECK(progress.line(values, at(1)).find("  loss -0.5  critic gap 0.61  lr 0.001") !=
        std::string::npos);
}

// 469 batches an epoch and 5 a step: step 300 takes the batches up to 1500, which is in epoch 4.
TEST_CASE("progress: epochs and images count all the batches that a step takes") {
  Progress progress({2, false}, Verbosity::quiet, plan_of(400, 469), 0, start);
  progress.set_step(1e9, 5);
  progress.step(300, {1, 0.001, {}, {}, {}}, at(10));
  CHECK(progress.line({1, 0.001, {}, {}, {}}, at(10)) ==
        "epoch 4/5  19 %|#9        | 93/469 [00:10<00:03, 30.0 it/s]  loss 1  lr 0.001  19.2k "
        "img/s  30 % of peak");
  progress.step(400, {}, at(14));
  CHECK(progress.line({}, at(14)).starts_with("epoch 5/5  100 %|##########| 124/124 "));
}

TEST_CASE("progress: an endless data set counts steps alone") {
  Progress progress({2, false}, Verbosity::quiet, plan_of(2000, 0), 0, start);
  ProgressValues values;
  values.loss = 100;
  values.rate = 5e-4;
  progress.step(820, values, at(10));
  CHECK(progress.line(values, at(10)) ==
        "step  41 %|####1     | 820/2000 [00:10<00:14, 82.0 it/s]  loss 100  lr 0.0005  10.5k "
        "img/s  82 % of peak");
}

TEST_CASE("progress: on a terminal one line is redrawn, at most every tenth of a second") {
  std::FILE* file = std::tmpfile();
  Progress progress({fileno(file), true}, Verbosity::normal, plan_of(100, 0), 0, start);
  progress.step(1, {}, at(0.05));
  CHECK(content(file).empty());
  progress.step(2, {}, at(0.11));
  progress.step(3, {}, at(0.15));
  progress.step(4, {}, at(0.25));
  const std::string text = content(file);
  CHECK(std::count(text.begin(), text.end(), '\r') == 2);
  CHECK(std::count(text.begin(), text.end(), '\n') == 0);
  std::fclose(file);
}

TEST_CASE("progress: elsewhere a plain line every ten seconds, and at the end") {
  std::FILE* file = std::tmpfile();
  Progress progress({fileno(file), false}, Verbosity::normal, plan_of(100, 0), 0, start);
  progress.step(10, {}, at(5));
  progress.step(20, {}, at(10.5));
  progress.step(30, {}, at(12));
  progress.step(100, {}, at(15));
  const std::string text = content(file);
  CHECK(std::count(text.begin(), text.end(), '\r') == 0);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  std::fclose(file);
}

TEST_CASE("progress: quiet says nothing") {
  std::FILE* file = std::tmpfile();
  Progress progress({fileno(file), true}, Verbosity::quiet, plan_of(100, 0), 0, start);
  progress.step(100, {}, at(100));
  progress.say("saved");
  CHECK(content(file).empty());
  std::fclose(file);
}

TEST_CASE("progress: numbers for people") {
  CHECK(clock_text(5) == "00:05");
  CHECK(clock_text(3723) == "1:02:03");
  CHECK(scaled(912) == "912");
  CHECK(scaled(7849) == "7.8k");
  CHECK(scaled(999600) == "1.0M");
  CHECK(bytes_text(12345678) == "12.3 MB");
  CHECK(bytes_text(12) == "12 B");
}
