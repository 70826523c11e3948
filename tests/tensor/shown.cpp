#include "tensor/shown.h"

#include <doctest/doctest.h>

#include <string>

using namespace likely;

namespace {

std::string as_shown(std::string_view text) { return fmt::format("{}", shown(text)); }

}  // namespace

TEST_CASE("shown: text that anyone can read stays as it is") {
  for (const char* text : {"", "vae", "C:\\data", "naïve \"π\" 漢字 👍"})
    CHECK(as_shown(text) == text);
}

TEST_CASE("shown: what a terminal would obey, or nobody would see, is written by its bytes") {
  CHECK(as_shown("\x1b[2J\r\n\t\x7f") == "\\x1b[2J\\x0d\\x0a\\x09\\x7f");
  CHECK(as_shown(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(as_shown("\u009b31m") == "\\xc2\\x9b31m");  // a control sequence in one character
  CHECK(as_shown("a\u202egnp.exe") == "a\\xe2\\x80\\xaegnp.exe");  // turns what follows
  CHECK(as_shown("\u200b\ufeff\u2028") == "\\xe2\\x80\\x8b\\xef\\xbb\\xbf\\xe2\\x80\\xa8");
}

TEST_CASE("shown: bytes that are not UTF-8 are written as such, and what follows is read again") {
  CHECK(as_shown("\xff") == "\\xff");
  CHECK(as_shown("\xc3") == "\\xc3");
  CHECK(as_shown("\xc3(") == "\\xc3(");
  CHECK(as_shown("\xe2\x82") == "\\xe2\\x82");
  CHECK(as_shown("\xc0\xaf") == "\\xc0\\xaf");                    // a slash, too long
  CHECK(as_shown("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // half of a pair
  CHECK(as_shown("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // past the last character
  for (const char* text : {"", "é", "漢", "👍", "\x7f"})
    CHECK(is_utf8(text));
  for (const char* text : {"\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80"})
    CHECK(!is_utf8(text));
}

TEST_CASE("shown: at most 80 columns of it, and no half of a character") {
  const std::string eighty(80, 'x');
  CHECK(as_shown(eighty) == eighty);
  CHECK(as_shown(eighty + "y") == eighty + "…");
  CHECK(as_shown(std::string(1'000'000, '9')).size() == 80 + 3);
  CHECK(as_shown(std::string(79, 'x') + "éé") == std::string(79, 'x') + "é…");
  CHECK(as_shown(std::string(78, 'x') + "\x01z") == std::string(78, 'x') + "…");
  CHECK(as_shown(std::string(1000, '\x01')).size() == 80 + 3);
}

TEST_CASE("shown: in quotes, where quotes end is plain") {
  CHECK(fmt::format("{}", in_quotes("a\"b\\")) == R"("a\"b\\")");
  CHECK(fmt::format("{}", in_quotes(std::string(81, 'x'))) == "\"" + std::string(80, 'x') + "\"…");
}

TEST_CASE("shown: a message keeps its lines and nothing else that moves the cursor") {
  CHECK(printable_message("error: a\n\tb\x1b[1m\r") == "error: a\n\tb\\x1b[1m\\x0d");
  const std::string cut = printable_message(std::string(1'000'000, 'x') + "\n");
  CHECK(cut == std::string(10'000, 'x') + "…\n");
}
