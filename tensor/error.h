// Errors: one grammar, `operation: what is wrong: what it got. What to do.`, one class per exit
// code.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace likely {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct UsageError : Error {  // exit code 1: the command line or a configuration
  using Error::Error;
};
struct DataError : Error {  // exit code 2: a file or its content
  using Error::Error;
};
struct OutOfMemory : Error {  // exit code 3
  using Error::Error;
};
struct SaveError : Error {  // exit code 4: training went on, the last save failed
  using Error::Error;
};
struct Diverged : Error {  // exit code 5: a value that is not finite
  using Error::Error;
};

// What the formatters of our types share: text, and no format specification. (A formatter that
// itself calls fmt's templates makes every file with a message compile the whole of fmt.)
struct PlainFormatter {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  static fmt::appender write(std::string_view text, fmt::format_context& context) {
    return std::copy(text.begin(), text.end(), context.out());
  }
};

template <class E = Error, class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> message, Args&&... args) {
  throw E(fmt::format(message, std::forward<Args>(args)...));
}

template <class E = Error, class... Args>
void require(bool holds, fmt::format_string<Args...> message, Args&&... args) {
  if (!holds) [[unlikely]]
    fail<E>(message, std::forward<Args>(args)...);
}

}  // namespace likely
