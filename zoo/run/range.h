// Range: the numbers that a setting or an option takes, and what is said of any other.
#pragma once
#include <cstdint>
#include <string>

namespace likely {

struct Range {
  double lowest = 0, highest = 1e9;  // both belong to it
};
constexpr Range any_seed{0, 0x1p63};  // as far as whole numbers of 64 bits go

// Reads the whole number or the number that a text is. What is wrong, with the range and without a
// full stop, where it is none or lies outside: "0 is below 1. Use 1 to 1000"; else empty.
std::string read_number(const std::string& text, const Range& range, std::int64_t& value);
std::string read_number(const std::string& text, const Range& range, double& value);

}  // namespace likely
