// The tests that end their process.
#include "tests/emulate/harness.h"

#include <unistd.h>

#include <array>
#include <cstdio>

namespace likely::kernels {

Child child(const std::string& test) {
  const std::string command =
      fmt::format("/proc/{}/exe --no-skip --test-case='{}' 2>&1", getpid(), test);
  FILE* const pipe = popen(command.c_str(), "r");
  REQUIRE(pipe);
  Child result;
  std::array<char, 4096> piece;
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), pipe))
    result.output.append(piece.data(), size);
  result.status = pclose(pipe);
  return result;
}

}  // namespace likely::kernels
