// Metrics: one JSON object a line in metrics.jsonl, never twice for a step.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "zoo/run/file_system.h"

namespace likely {

class Metrics {
 public:
  using Values = std::vector<std::pair<std::string, double>>;

  // Goes on after the line of `step`; lines of later steps, written before a stop, are cut off. A
  // line that cannot be read takes no other with it.
  Metrics(std::string path, std::int64_t step, FileSystem& files = real_file_system());

  const std::string& notice() const { return notice_; }  // of such lines; else empty

  void add(std::int64_t step, const Values& values);  // kept in memory until flush
  bool due() const { return pending_.size() > 1 << 16; }
  // Throws SaveError and keeps the lines, to be tried again, where they cannot be written whole.
  void flush();

 private:
  std::string path_, pending_, notice_;
  std::int64_t written_ = 0;  // bytes of whole lines in the file
  FileSystem& files_;
};

// The curves in a metrics.jsonl: (step, value) where a line has both. Lines that cannot be read are
// left out, and a notice says so; a last one without its end is just being written.
struct MetricsHistory {
  using Points = std::vector<std::pair<double, double>>;
  Points loss, held_out;
  std::map<std::string, Points> all;  // by name
  std::int64_t last_step = 0;
  std::string notice;
};
MetricsHistory read_metrics(const std::string& path);

}  // namespace likely
