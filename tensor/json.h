// JSON that others may have written: parsed within limits, and asked for what it has to hold.
#pragma once
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace likely {

// Wide of anything that this library writes. (Copying and printing a tree of values recurse, and
// looking a key up takes as long as there are keys.)
struct JsonLimits {
  std::size_t bytes = 16 << 20, depth = 32, values = 500'000, keys = 2000;  // keys of one object
};

// DataError where the text is not JSON or exceeds a limit. Every message begins with `from`, such
// as "checkpoint: last/state.json".
nlohmann::ordered_json parse_json(std::string_view text, const std::string& from,
                                  const JsonLimits& limits = {});

// What an object holds under a key: DataError where `object` is none, or the value is missing, of
// another type or out of range.
const nlohmann::ordered_json& value_in(const nlohmann::ordered_json& object, const char* key,
                                       const std::string& from);
const nlohmann::ordered_json& object_in(const nlohmann::ordered_json& object, const char* key,
                                        const std::string& from);
const std::string& text_in(const nlohmann::ordered_json& object, const char* key,
                           const std::string& from);
std::int64_t integer_in(const nlohmann::ordered_json& object, const char* key,
                        const std::string& from, std::int64_t lowest, std::int64_t highest);

// The largest count of steps, batches or bytes that a file may name.
inline constexpr std::int64_t largest_count = std::int64_t{1} << 53;

}  // namespace likely
