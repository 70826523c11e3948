// Text that others wrote (a name, a value, a line of a file) as our messages show it.
#pragma once
#include <string>
#include <string_view>

#include "tensor/error.h"

namespace likely {

// Shows at most 80 columns of a text, then "…". Control characters, bytes that are not UTF-8 and
// characters that turn or hide text become \xNN. It is a view, so that only a message that is
// printed pays for it.
struct Shown {
  std::string_view text;
  bool quoted = false;
};
inline Shown shown(std::string_view text) { return {text}; }
inline Shown in_quotes(std::string_view text) { return {text, true}; }

// A whole message for a terminal or a log, whatever stands in it: its newlines and tabs stay, and
// it is cut only where it is longer than anyone reads.
std::string printable_message(std::string_view message);

bool is_utf8(std::string_view text);

}  // namespace likely

template <>
struct fmt::formatter<likely::Shown> : likely::PlainFormatter {
  fmt::appender format(likely::Shown text, format_context& context) const;
};
