#include "zoo/run/metrics.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace likely {
namespace {

using Json = nlohmann::ordered_json;

// The object on a line, or a discarded one.
Json parsed(const std::string& line) {
  Json object = Json::parse(line, nullptr, false);
  if (object.is_object() && object.contains("step") && object["step"].is_number_integer())
    return object;
  return Json(Json::value_t::discarded);
}

// The length of the whole lines up to the one of `step`.
std::int64_t bytes_through(const std::string& path, std::int64_t step) {
  std::ifstream file(path, std::ios::binary);
  std::int64_t bytes = 0;
  for (std::string line; std::getline(file, line) && !file.eof();) {
    const Json object = parsed(line);
    if (object.is_discarded() || object["step"].get<std::int64_t>() > step)
      break;
    bytes += static_cast<std::int64_t>(line.size()) + 1;
  }
  return bytes;
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
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t count = files_.write(file_, text.data() + done, text.size() - done);
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        fail_to_save("write " + path_);
      done += static_cast<std::size_t>(count);
    }
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
std::string number(double value) {
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
  written_ = bytes_through(path_, step);
  AppendedFile file(files_, path_);
  file.truncate(written_);
  file.close();
}

void Metrics::add(std::int64_t step, const Values& values) {
  pending_ += fmt::format("{{\"step\":{}", step);
  for (const auto& [name, value] : values)
    pending_ += fmt::format(",\"{}\":{}", name, number(value));
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
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const Json object = parsed(line);
    if (object.is_discarded())
      continue;
    history.last_step = object["step"].get<std::int64_t>();
    for (const auto& [name, value] : object.items())
      if (value.is_number())
        history.all[name].emplace_back(history.last_step, value.get<double>());
  }
  history.loss = history.all["loss"];
  history.held_out = history.all["negative_log_likelihood_nats"];
  return history;
}

}  // namespace likely
