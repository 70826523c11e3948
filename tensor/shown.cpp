// UTF-8 as RFC 3629 has it, and what of it a message may contain.
#include "tensor/shown.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace likely {
namespace {

// A character at the beginning of a text and its bytes; 0 bytes where these are not UTF-8.
struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 0;
};

Character first_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80)
    return {byte(0), 1};
  const std::size_t bytes = byte(0) >> 5 == 6    ? 2
                            : byte(0) >> 4 == 14 ? 3
                            : byte(0) >> 3 == 30 ? 4
                                                 : 0;
  if (bytes == 0 || bytes > text.size())
    return {};
  std::uint32_t code = byte(0) & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if (byte(i) >> 6 != 2)
      return {};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return code < lowest[bytes] || code > 0x10ffff || surrogate ? Character{}
                                                              : Character{code, bytes};
}

// Characters that move the cursor, turn the direction of what follows, or cannot be seen.
bool misleads(std::uint32_t code) {
  constexpr std::pair<std::uint32_t, std::uint32_t> ranges[] = {
      {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},      {0x61c, 0x61c},
      {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},  {0x2060, 0x206f},
      {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff}};
  for (const auto& [first, last] : ranges)
    if (code >= first && code <= last)
      return true;
  return false;
}

struct Style {
  std::size_t most;  // columns
  bool quoted = false, lines = false;
};

std::string written(std::string_view text, const Style& style) {
  std::string result = style.quoted ? "\"" : "";
  bool cut = false;
  for (std::size_t columns = 0; !text.empty();) {
    const Character character = first_of(text);
    const std::size_t bytes = std::max<std::size_t>(1, character.bytes);
    const bool line = style.lines && (text[0] == '\n' || text[0] == '\t');
    std::string next(text.substr(0, bytes));
    if (character.bytes == 0 || (misleads(character.code) && !line)) {
      next.clear();
      for (std::size_t i = 0; i < bytes; ++i)
        next += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    } else if (style.quoted && (text[0] == '"' || text[0] == '\\')) {
      next.insert(0, 1, '\\');
    }
    columns += next.size() > 4 || next[0] == '\\' ? next.size() : 1;
    cut = columns > style.most;
    if (cut)
      break;
    result += next;
    text.remove_prefix(bytes);
  }
  return result + (style.quoted ? "\"" : "") + (cut ? "…" : "");
}

}  // namespace

std::string printable_message(std::string_view message) {
  std::string text = written(message, {.most = 10'000, .lines = true});
  if (message.ends_with('\n') && !text.ends_with('\n'))
    text += '\n';  // where the end was cut
  return text;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = first_of(text).bytes;
    if (bytes == 0)
      return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace likely

fmt::appender fmt::formatter<likely::Shown>::format(likely::Shown text,
                                                    format_context& context) const {
  return write(likely::written(text.text, {.most = 80, .quoted = text.quoted}), context);
}
