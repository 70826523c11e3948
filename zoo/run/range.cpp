#include "zoo/run/range.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>

#include "tensor/shown.h"

namespace likely {
namespace {

template <class T>
std::string bound_text(double bound) {
  if (std::is_integral_v<T> && bound >= 0x1p63)
    return fmt::format("{}", std::numeric_limits<std::int64_t>::max());
  return fmt::format("{}", bound);
}

template <class T>
std::string read(const std::string& text, const Range& range, T& value) {
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  const std::string lowest = bound_text<T>(range.lowest), highest = bound_text<T>(range.highest),
                    use = fmt::format("Use {} to {}", lowest, highest);
  const bool whole = std::is_integral_v<T>,
             too_long = whole && error == std::errc::result_out_of_range && stopped == end;
  if (too_long)
    return fmt::format("{} is {}. {}", in_quotes(text),
                       text[0] == '-' ? "below " + lowest : "above " + highest, use);
  if (error != std::errc{} || stopped != end || std::isnan(static_cast<double>(value)))
    return fmt::format("{} is no {}number. {}", in_quotes(text), whole ? "whole " : "", use);
  if (static_cast<double>(value) < range.lowest)
    return fmt::format("{} is below {}. {}", value, lowest, use);
  if (static_cast<double>(value) > range.highest)
    return fmt::format("{} is above {}. {}", value, highest, use);
  return {};
}

}  // namespace

std::string read_number(const std::string& text, const Range& range, std::int64_t& value) {
  return read(text, range, value);
}

std::string read_number(const std::string& text, const Range& range, double& value) {
  return read(text, range, value);
}

}  // namespace likely
