#include "tensor/streams.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <thread>

#include "tensor/error.h"
#include "tests/apart.h"
#include "tests/captured.h"

using namespace likely;

namespace {

// The message of the SaveError that f throws; empty where it throws none.
std::string save_error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const SaveError& error) {
    return error.what();
  }
  return "";
}

std::string not_written(const std::string& reason) {
  return "print: the results cannot be written to stdout: " + reason +
         ". Call again with a stdout that takes them.";
}

// What f writes to a pipe that does not block, whose reader is slow.
std::string through_a_slow_pipe(int descriptor, const std::function<void()>& f) {
  int ends[2];
  REQUIRE(pipe2(ends, O_NONBLOCK) == 0);
  const int before = dup(descriptor);
  dup2(ends[1], descriptor);
  close(ends[1]);
  std::string read_back;
  std::thread reader([&] {
    fcntl(ends[0], F_SETFL, 0);
    char bytes[1 << 14];
    for (ssize_t count; (count = read(ends[0], bytes, sizeof bytes)) > 0;) {
      read_back.append(bytes, static_cast<std::size_t>(count));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  f();
  dup2(before, descriptor);
  close(before);
  reader.join();
  close(ends[0]);
  return read_back;
}

}  // namespace

TEST_CASE("stderr: whatever it has become, writing there neither throws nor ends the process") {
  for (const BrokenStream& broken : broken_streams()) {
    CAPTURE(broken.name);
    CHECK(apart([&] {
            open_standard_streams();
            broken.make(STDERR_FILENO);
            for (int i = 0; i < 3; ++i)
              to_stderr("step {}\n", i);
            return 7;
          }) == 7);
  }
  const Captured error(STDERR_FILENO);
  to_stderr("step {} of {}\n", 3, 4);
  CHECK(error.text() == "step 3 of 4\n");
}

TEST_CASE("stdout: results that do not arrive are a SaveError that says why") {
  for (const BrokenStream& broken : broken_streams()) {
    CAPTURE(broken.name);
    CHECK(apart([&] {
            open_standard_streams();
            broken.make(STDOUT_FILENO);
            return save_error_of([] { to_stdout("{} nats\n", 84.8); }) ==
                   not_written(broken.reason);
          }) == 1);
  }
  const Captured out(STDOUT_FILENO);
  to_stdout("{} nats\n", 84.8);
  finish_results();
  CHECK(out.text() == "84.8 nats\n");
}

TEST_CASE("stdout: a reader of help may go, but a full disk is still one") {
  const auto exit_code = [](const BrokenStream& broken) {
    return apart([&] {
      open_standard_streams();
      broken.make(STDOUT_FILENO);
      return save_error_of([] { write_help("help\n"); }).empty() ? 0 : 4;
    });
  };
  for (const BrokenStream& broken : broken_streams()) {
    CAPTURE(broken.name);
    CHECK(exit_code(broken) == (std::string(broken.reason) == "Broken pipe" ? 0 : 4));
  }
}

TEST_CASE("stdout: a pipe that does not block and is read slowly gets all of it") {
  const std::string text(1 << 18, 'x');
  CHECK(through_a_slow_pipe(STDOUT_FILENO, [&] { write_result(text); }) == text);
}

TEST_CASE("streams: a file opened after the start is none of those that were closed") {
  for (const int closed : {0, 1, 2, 3})  // 3: all of them
    CHECK(apart([&] {
            for (const int descriptor : {0, 1, 2})
              if (closed == 3 || closed == descriptor)
                close(descriptor);
            open_standard_streams();
            const int file = open("/dev/null", O_WRONLY);
            to_stderr("progress\n");
            const bool told = !save_error_of([] { to_stdout("result\n"); }).empty();
            return file > 2 && told == (closed == 1 || closed == 3) ? 0 : 1;
          }) == 0);
}

TEST_CASE("streams: a file at its size limit is a failed write, on stderr none at all") {
  CHECK(apart([] {
          open_standard_streams();
          const rlimit most{10, 10};
          setrlimit(RLIMIT_FSIZE, &most);
          std::FILE *const out = std::tmpfile(), *const error = std::tmpfile();
          dup2(fileno(out), STDOUT_FILENO);
          dup2(fileno(error), STDERR_FILENO);
          to_stderr("more than ten bytes\n");
          return save_error_of([] { to_stdout("more than ten bytes\n"); }) ==
                         not_written("File too large")
                     ? 7
                     : 1;
        }) == 7);
}

// Comments and strings may speak of the streams; code may not touch them.
TEST_CASE("streams: nothing else in the tree writes to stdout or stderr") {
  const std::regex left_out(R"re(//[^\n]*|"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])')re");
  const std::regex others(
      R"re(\b(stdout|stderr|cout|cerr|clog|perror|puts|putchar|v?printf)\b)re"
      R"re(|\bwrite\((1|2|STD(OUT|ERR)_FILENO)\b|\bfmt::v?print|CLI11_PARSE|\.exit\([^,()]*\))re");
  std::size_t count = 0;
  for (const char* room : {"tensor", "kernels", "autograd", "nn", "zoo", "bench"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             std::filesystem::path(LIKELY_SOURCE) / room)) {
      const std::string path = entry.path().string(), ending = entry.path().extension().string();
      if ((ending != ".h" && ending != ".cpp" && ending != ".cu") ||
          path.find("/tensor/streams.") != std::string::npos)
        continue;
      ++count;
      std::ifstream file(path);
      int number = 0;
      for (std::string line; std::getline(file, line);) {
        ++number;
        const std::string code = std::regex_replace(line, left_out, "");
        std::smatch found;
        if (std::regex_search(code, found, others))
          FAIL_CHECK(path << ":" << number << " names " << found.str()
                          << ". Write with to_stdout or to_stderr of tensor/streams.h, which a "
                             "full disk or a closed terminal cannot surprise.");
      }
    }
  CHECK(count > 200);
}
