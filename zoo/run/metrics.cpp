#include "zoo/run/metrics.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tensor/json.h"

namespace likely {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t longest_line = 1 << 16;

// The object on a line, or a discarded one.
Json parsed(const std::string& line) {
  try {
    const std::string from = "metrics: a line";
    Json object = parse_json(line, from);
    integer_in(object, "step", from, 0, largest_count);
    return object;
  } catch (const DataError&) {
    return Json(Json::value_t::discarded);
  }
}

// Lines that say nothing of use, by number.
struct Damage {
  std::int64_t lines = 0, first = 0;
  void add(std::int64_t line) {
    if (lines++ == 0)
      first = line;
  }
  std::string notice(const std::string& path) const {
    if (lines == 0)
      return "";
    return lines == 1
               ? fmt::format("{}: line {} cannot be read and is left out.", path, first)
               : fmt::format("{}: {} lines cannot be read and are left out, the first is {}.", path,
                             lines, first);
  }
};

// What of a file belongs to the steps up to one: all through the last line of such a step. A line
// before it that tells a later step is as damaged as one that cannot be read.
struct Kept {
  std::int64_t bytes = 0;
  Damage damage;
  bool in_one_piece = true;  // no line of a later step is among them
};

Kept kept_through(const std::string& path, std::int64_t step) {
  const InputFile file = open_to_read("metrics", path);
  Kept kept, now;
  std::int64_t number = 0;
  for (Line line; read_line(file, longest_line, line) && line.ended;) {
    now.bytes += line.bytes;
    ++number;
    const Json object = parsed(line.text);
    const bool later = !object.is_discarded() && object["step"].get<std::int64_t>() > step;
    now.in_one_piece = now.in_one_piece && !later;
    if (later || object.is_discarded())
      now.damage.add(number);
    else
      kept = now;
  }
  return kept;
}

// The kept lines but for those of later steps.
std::string without_later(const std::string& path, const Kept& kept, std::int64_t step) {
  const InputFile file = open_to_read("metrics", path);
  std::string text;
  Line line;
  for (std::int64_t bytes = 0; bytes < kept.bytes && read_line(file, longest_line, line);
       bytes += line.bytes) {
    const Json object = parsed(line.text);
    if (object.is_discarded() || object["step"].get<std::int64_t>() <= step)
      text += line.text + '\n';
  }
  return text;
}

// Closes what it opened, whatever happens.
class AppendedFile {
 public:
  AppendedFile(FileSystem& files, const std::string& path)
      : files_(files), path_(path), file_(files.append(path)) {
    if (file_ < 0)
      fail_to_save("open " + path);
  }
  AppendedFile(const AppendedFile&) = delete;
  ~AppendedFile() {
    if (file_ >= 0)
      files_.close(file_);
  }
  void write(const std::string& text) {
    write_whole(files_, file_, path_, text.data(), text.size());
    if (files_.sync(file_) != 0)
      fail_to_save("sync " + path_);
  }
  void truncate(std::int64_t bytes) {
    if (files_.truncate(file_, bytes) != 0)
      fail_to_save("shorten " + path_);
  }
  void close() {
    if (files_.close(std::exchange(file_, -1)) != 0)
      fail_to_save("close " + path_);
  }

 private:
  FileSystem& files_;
  const std::string& path_;
  int file_;
};

// The shortest text that reads back the same; values that came as f32 look like it.
std::string shortest_number(double value) {
  if (!std::isfinite(value))
    return "null";
  const auto narrow = static_cast<float>(value);
  return narrow == value ? fmt::format("{}", narrow) : fmt::format("{}", value);
}

}  // namespace

Metrics::Metrics(std::string path, std::int64_t step, FileSystem& files)
    : path_(std::move(path)), files_(files) {
  if (!std::filesystem::exists(path_))
    return;
  const Kept kept = kept_through(path_, step);
  notice_ = kept.damage.notice(path_);
  if (!kept.in_one_piece) {
    const std::string text = without_later(path_, kept, step);
    replace_file(files_, path_, text);
    written_ = static_cast<std::int64_t>(text.size());
    return;
  }
  written_ = kept.bytes;
  AppendedFile file(files_, path_);
  file.truncate(written_);
  file.close();
}

void Metrics::add(std::int64_t step, const Values& values) {
  pending_ += fmt::format("{{\"step\":{}", step);
  for (const auto& [name, value] : values)
    pending_ += fmt::format(",\"{}\":{}", name, shortest_number(value));
  pending_ += "}\n";
}

void Metrics::flush() {
  if (pending_.empty())
    return;
  AppendedFile file(files_, path_);
  file.truncate(written_);  // what a failed attempt may have left
  file.write(pending_);
  file.close();
  written_ += static_cast<std::int64_t>(pending_.size());
  pending_.clear();
}

MetricsHistory read_metrics(const std::string& path) {
  MetricsHistory history;
  if (!std::filesystem::exists(path))
    return history;
  Damage damage;
  const InputFile file = open_to_read("metrics", path);
  std::int64_t number = 0;
  for (Line line; read_line(file, longest_line, line);) {
    ++number;
    const Json object = parsed(line.text);
    if (object.is_discarded()) {
      if (line.ended)
        damage.add(number);
      continue;
    }
    history.last_step = object["step"].get<std::int64_t>();
    for (const auto& [name, value] : object.items())
      if (value.is_number())
        history.all[name].emplace_back(history.last_step, value.get<double>());
  }
  history.notice = damage.notice(path);
  history.loss = history.all["loss"];
  history.held_out = history.all["negative_log_likelihood_nats"];
  return history;
}

}  // namespace likely
