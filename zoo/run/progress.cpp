#include "zoo/run/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tensor/shown.h"
#include "tensor/streams.h"

namespace likely {
namespace {

constexpr double redraw_seconds = 0.1, plain_seconds = 10, smoothing = 0.3;

double seconds(Progress::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

// Ten cells; the last one shows tenths: "####2     ".
std::string bar(double share) {
  const int tenths = std::clamp(static_cast<int>(share * 100), 0, 100);
  std::string cells(static_cast<std::size_t>(tenths / 10), '#');
  if (tenths < 100 && tenths % 10 != 0)
    cells += static_cast<char>('0' + tenths % 10);
  return fmt::format("{:<10}", cells);
}

std::string spaced(std::string name) {  // "critic_gap" as people read it
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

}  // namespace

Terminal Terminal::of(int descriptor) {
  Terminal terminal{descriptor};
  const char* kind = std::getenv("TERM");
  terminal.redraws =
      isatty(descriptor) && !std::getenv("CI") && !(kind && std::string(kind) == "dumb");
  return terminal;
}

Progress::Progress(Terminal terminal, Verbosity verbosity, const ProgressPlan& plan,
                   std::int64_t begin, Clock::time_point now)
    : terminal_(terminal),
      verbosity_(verbosity),
      plan_(plan),
      begin_(begin),
      step_(begin),
      drawn_step_(begin),
      began_(now),
      drawn_(now) {}

void Progress::step(std::int64_t step, const ProgressValues& values, Clock::time_point now) {
  step_ = step;
  const double since = seconds(now - drawn_);
  const bool last = step == plan_.steps;
  if (since < (terminal_.redraws ? redraw_seconds : plain_seconds) && !last)
    return;
  const double speed = since > 0 ? static_cast<double>(step - drawn_step_) / since : 0;
  rate_ = rate_ == 0 || !terminal_.redraws ? speed : rate_ + smoothing * (speed - rate_);
  if (last && since < plain_seconds)  // the run as a whole, not its last instant
    rate_ = static_cast<double>(step - begin_) / std::max(1e-9, seconds(now - began_));
  drawn_ = now;
  drawn_step_ = step;
  if (verbosity_ == Verbosity::quiet)
    return;
  const std::string text = line(values, now);
  write_for_eyes(terminal_.redraws ? fmt::format("\r{:<{}}", text, width_) : text + "\n",
                 terminal_.descriptor);
  if (terminal_.redraws)
    width_ = text.size();
}

std::string Progress::line(const ProgressValues& values, Clock::time_point now) const {
  const std::int64_t done = step_ - begin_;
  const double left = rate_ > 0 ? static_cast<double>(plan_.steps - step_) / rate_ : 0;
  std::int64_t within = step_, of = plan_.steps;
  std::string text = "step";
  if (const std::int64_t an_epoch = plan_.batches_an_epoch; an_epoch > 0) {
    const std::int64_t batches = step_ * plan_.batches_a_step,
                       all = plan_.steps * plan_.batches_a_step,
                       epoch = std::max<std::int64_t>(0, batches - 1) / an_epoch;
    text = fmt::format("epoch {}/{}", epoch + 1, (all + an_epoch - 1) / an_epoch);
    within = batches - epoch * an_epoch;
    of = std::min(an_epoch, all - epoch * an_epoch);
  }
  const double share = of > 0 ? static_cast<double>(within) / static_cast<double>(of) : 1;
  text +=
      fmt::format("  {:.0f} %|{}| {}/{} [{}<{}, {:.1f} it/s]  loss {:.4g}", std::floor(share * 100),
                  bar(share), within, of, clock_text(seconds(now - began_)),
                  done > 0 ? clock_text(left) : "?", rate_, values.loss);
  if (values.nats)
    text += fmt::format("  nll {:.2f} nats", *values.nats);
  if (values.gap)
    text += fmt::format("  gap {:.2f}", *values.gap);
  for (const auto& [name, value] : values.recorded)
    if (value != values.loss)
      text += fmt::format("  {} {:.3g}", spaced(name), value);
  text +=
      fmt::format("  lr {:.2g}  {} img/s", values.rate,
                  scaled(rate_ * static_cast<double>(plan_.batches_a_step * plan_.images_a_batch)));
  if (plan_.peak_flops > 0 && plan_.flops_a_step > 0)
    text += fmt::format("  {:.0f} % of peak", 100 * rate_ * plan_.flops_a_step / plan_.peak_flops);
  return text;
}

void Progress::say(const std::string& text, Verbosity from) {
  if (verbosity_ < from)
    return;
  finish();
  write_for_eyes(printable_message(text) + "\n", terminal_.descriptor);
}

void Progress::finish() {
  if (width_ > 0)
    write_for_eyes("\n", terminal_.descriptor);
  width_ = 0;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{:02}:{:02}", whole / 60, whole % 60);
}

std::string scaled(double value) {
  const char* units[] = {"", "k", "M", "G", "T"};
  int unit = 0;
  while (value >= 999.5 && unit < 4) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f}{}", value, value < 99.5 && unit > 0 ? 1 : 0, units[unit]);
}

std::string bytes_text(double bytes) {
  if (bytes < 999.5)
    return fmt::format("{:.0f} B", bytes);
  std::string text = scaled(bytes);
  return text.insert(text.size() - 1, " ") + "B";
}

}  // namespace likely
