#include <doctest/doctest.h>

#include "tests/zoo/temporary_folder.h"
#include "zoo/run/metrics.h"

using namespace likely;

namespace {

std::string line(int step) { return fmt::format("{{\"step\":{},\"loss\":{}.5}}\n", step, step); }

std::string lines(int first, int last) {
  std::string text;
  for (int step = first; step <= last; ++step)
    text += line(step);
  return text;
}

// What is left of a file at a resume from `step`, and what is said of it.
std::pair<std::string, std::string> resumed(const std::string& text, std::int64_t step) {
  const TemporaryFolder folder;
  replace_file(real_file_system(), folder / "metrics.jsonl", text);
  Metrics metrics(folder / "metrics.jsonl", step);
  std::string notice = metrics.notice();
  if (const auto at = notice.find(folder.path()); at != std::string::npos)
    notice.erase(at, folder.path().size() + 1);
  metrics.add(step + 1, {{"loss", 7}});
  metrics.flush();
  std::string left = read_file(folder / "metrics.jsonl");
  const std::string added = fmt::format("{{\"step\":{},\"loss\":7}}\n", step + 1);
  REQUIRE(left.ends_with(added));
  left.resize(left.size() - added.size());
  return {left, notice};
}

}  // namespace

TEST_CASE("metrics: a resume cuts what was written after its step, and a torn line, silently") {
  CHECK(resumed(lines(1, 9), 9) == std::pair(lines(1, 9), std::string()));
  CHECK(resumed(lines(1, 9), 5) == std::pair(lines(1, 5), std::string()));
  CHECK(resumed(lines(1, 9) + "{\"step\":10,\"lo", 9) == std::pair(lines(1, 9), std::string()));
  CHECK(resumed(lines(1, 9) + "{\"step\":10,\"lo", 5) == std::pair(lines(1, 5), std::string()));
  CHECK(resumed("", 0) == std::pair(std::string(), std::string()));
  CHECK(resumed(lines(1, 3), 0) == std::pair(std::string(), std::string()));
}

TEST_CASE("metrics: a broken line in the middle takes no later line with it, and is said once") {
  for (const std::string& broken :
       {std::string("{\"step\":4,\"lo{\"step\":5}\n"), std::string(30, '\0') + "\n",
        std::string("[1]\n"), std::string("\n"), std::string("{\"step\":\"4\"}\n")}) {
    CAPTURE(broken);
    const std::string text = lines(1, 3) + broken + lines(5, 9);
    CHECK(resumed(text, 9) ==
          std::pair(text, std::string("metrics.jsonl: line 4 cannot be read and is left out.")));
    CHECK(resumed(text, 6) ==
          std::pair(lines(1, 3) + broken + lines(5, 6),
                    std::string("metrics.jsonl: line 4 cannot be read and is left out.")));
    CHECK(resumed(text, 3) == std::pair(lines(1, 3), std::string()));
  }
}

TEST_CASE("metrics: a line whose step was damaged neither ends the file nor stays in it") {
  const std::string notice = "metrics.jsonl: line 4 cannot be read and is left out.";
  CHECK(resumed(lines(1, 3) + line(4000) + lines(5, 9), 9) ==
        std::pair(lines(1, 3) + lines(5, 9), notice));
  // Of 8, damaged to 1, after the step that is resumed: no step stands twice.
  const auto [left, said] = resumed(lines(1, 7) + line(1) + lines(9, 9), 5);
  CHECK(left == lines(1, 5) + line(1));
  CHECK(said == "metrics.jsonl: 2 lines cannot be read and are left out, the first is 6.");
}

TEST_CASE("metrics: curves keep what can be read, and a line just being written is none") {
  const TemporaryFolder folder;
  const std::string path = folder / "metrics.jsonl";
  replace_file(real_file_system(), path,
               lines(1, 3) + "{\"step\":4\n" + lines(5, 6) + "broken\n" + line(8) + "{\"st");
  const MetricsHistory history = read_metrics(path);
  CHECK(history.loss ==
        MetricsHistory::Points{{1, 1.5}, {2, 2.5}, {3, 3.5}, {5, 5.5}, {6, 6.5}, {8, 8.5}});
  CHECK(history.last_step == 8);
  CHECK(history.notice == path + ": 2 lines cannot be read and are left out, the first is 4.");
}
