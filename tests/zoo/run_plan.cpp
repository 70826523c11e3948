// What `plan` says of memory against what a run takes. (Resident memory first: a process that has
// trained before has holes in its heap.)
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>

#include "tests/zoo/tiny_run.h"
#include "zoo/run/machine.h"

using namespace likely;

TEST_CASE("plan: resident memory within 5 %") {
  if (std::getenv("LIKELY_TEST_SMALL"))
    return;  // a sanitizer's shadow memory is in nobody's plan
  const TemporaryFolder folder;
  const std::map<std::string, std::string> settings{{"data", "shapes"}, {"hidden", "4000"},
                                                    {"batch", "200"},   {"steps", "5"},
                                                    {"threads", "1"},   {"eval-every", "2"}};
  // What f returns in a process of its own.
  const auto apart = [&](const std::function<std::int64_t()>& f) {
    const pid_t child = fork();
    if (child == 0) {
      replace_file(real_file_system(), folder / "bytes", fmt::format("{}", f()));
      _exit(0);
    }
    waitpid(child, nullptr, 0);
    return std::stod(read_file(folder / "bytes"));
  };
  const double planned = apart([&] {
    return plan(tiny_description(), resolve(tiny_description(), {}, given(settings)))
        .resident_bytes();
  });
  const double measured = apart([&] {
    run(folder / "run", settings);
    return peak_resident_bytes();
  });
  CAPTURE(planned);
  CAPTURE(measured);
  CHECK(planned > 1e8);
  CHECK(std::abs(planned / measured - 1) < 0.05);
}

TEST_CASE("plan: the allocator's peak to the byte") {
  for (const char* data : {"bars-4", "shapes", "rings"}) {
    CAPTURE(data);
    check_planned({{"data", data},
                   {"hidden", std::getenv("LIKELY_TEST_SMALL") ? "200" : "1500"},
                   {"batch", "100"},
                   {"steps", "5"},
                   {"eval-every", "2"}});
  }
}
