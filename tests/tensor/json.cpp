#include "tensor/json.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "format_tools.h"
#include "tests/memory.h"

using namespace likely;

namespace {

std::string json_refusal(const std::string& text, const JsonLimits& limits = {}) {
  return message([&] { parse_json(text, "f", limits); });
}

std::string too_many(const std::string& what) {
  return "f: more " + what + " than likely writes. It is damaged, or not of likely.";
}

}  // namespace

TEST_CASE("json: what is within the limits is read") {
  const auto json = parse_json(R"({"b": [1, -2, 0.5, "é", null], "a": {"c": true}})", "f");
  CHECK(json.dump() == R"({"b":[1,-2,0.5,"é",null],"a":{"c":true}})");
  CHECK(parse_json(std::string(32, '[') + std::string(32, ']'), "f").is_array());
}

TEST_CASE("json: nesting is refused before a tree grows from it") {
  const Deadline soon;
  CHECK(json_refusal(std::string(33, '[')) == too_many("levels of lists and objects"));
  CHECK(json_refusal(std::string(100'000, '[')) == too_many("levels of lists and objects"));
  std::string nested;
  for (int i = 0; i < 100'000; ++i)
    nested += "{\"a\":";
  CHECK(json_refusal(nested) == too_many("levels of lists and objects"));
}

TEST_CASE("json: bytes, values and keys are counted while it is read") {
  CHECK(json_refusal("[1,2,3]", {.bytes = 6}) == "f: 7 bytes, more than 6.");
  CHECK(json_refusal("[1,2,3]", {.bytes = 7}) == "no error");
  std::string keys = "{\"0\":0";
  for (int i = 1; i <= 2000; ++i)
    keys += fmt::format(",\"{}\":0", i);
  CHECK(json_refusal(keys + "}") == too_many("keys in one object"));
  CHECK(json_refusal("[[{\"a\":1,\"b\":2}],{\"c\":1}]", {.keys = 2}) == "no error");
  std::string values = "[0";
  for (int i = 0; i < 7'000'000; ++i)
    values += ",0";
  CHECK(json_refusal(values + "]") == too_many("values"));
  if (!std::getenv("LIKELY_TEST_SMALL"))
    CHECK(peak_growth([&] { json_refusal(values + "]"); }) < 100);
}

TEST_CASE("json: what is no JSON says where") {
  CHECK(json_refusal("") == "f: byte 1 is not JSON in UTF-8.");
  CHECK(json_refusal("{\"a\":}") == "f: byte 6 is not JSON in UTF-8.");
  CHECK(json_refusal("{} x") == "f: byte 4 is not JSON in UTF-8.");
  CHECK(json_refusal("\"\xff\"") == "f: byte 2 is not JSON in UTF-8.");
  CHECK(json_refusal(std::string("{}\0{}", 5)) == "f: byte 3 is not JSON in UTF-8.");
  CHECK(json_refusal("[1e999]") == "f: a number is too large for 64 bits.");
}

TEST_CASE("json: what an object must hold is asked for by name, type and range") {
  const auto json = parse_json(
      R"({"n": 5, "low": -5, "huge": 18446744073709551615, "half": 0.5, "t": "x\u001b", "o": {}})",
      "f");
  const auto integer = [&](const char* key) {
    return message([&] { integer_in(json, key, "f", 0, 10); });
  };
  CHECK(integer_in(json, "n", "f", 0, 10) == 5);
  CHECK(integer("low") == "f: \"low\" is -5, not a whole number from 0 to 10.");
  CHECK(integer("huge") == "f: \"huge\" is 18446744073709551615, not a whole number from 0 to 10.");
  CHECK(integer("half") == "f: \"half\" is 0.5, not a whole number from 0 to 10.");
  CHECK(integer("t") == "f: \"t\" is \"x\\u001b\", not a whole number from 0 to 10.");
  CHECK(integer("none") == "f: there is no \"none\".");
  CHECK(text_in(json, "t", "f") == "x\x1b");
  CHECK(message([&] { text_in(json, "o", "f"); }) == "f: \"o\" is {}, not a text.");
  CHECK(object_in(json, "o", "f").empty());
  CHECK(message([&] { object_in(json, "n", "f"); }) == "f: \"n\" is 5, not an object.");
  CHECK(message([&] { value_in(json["n"], "a", "f"); }) ==
        "f: number is not an object with \"a\".");
}
