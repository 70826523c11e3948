#include "tensor/json.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "tensor/shown.h"

namespace likely {
namespace {

using Json = nlohmann::ordered_json;
using Event = Json::parse_event_t;

// Follows the parser and stops it where a limit is exceeded, before a tree has grown beyond it.
class Watch {
 public:
  Watch(const std::string& from, const JsonLimits& limits) : from_(from), limits_(limits) {}

  void operator()(Event event) {
    if (event == Event::object_start || event == Event::array_start)
      keys_.push_back(0);
    else if (event == Event::object_end || event == Event::array_end)
      keys_.pop_back();
    else if (event == Event::key)
      require_at_most(++keys_.back(), limits_.keys, "keys in one object");
    require_at_most(keys_.size(), limits_.depth, "levels of lists and objects");
    require_at_most(++events_, 2 * limits_.values, "values");  // each has up to two events
  }

 private:
  void require_at_most(std::size_t count, std::size_t most, const char* what) const {
    require<DataError>(count <= most,
                       "{}: more {} than likely writes. It is damaged, or not of likely.", from_,
                       what);
  }

  const std::string& from_;
  const JsonLimits& limits_;
  std::vector<std::size_t> keys_;  // of each object or list that is open
  std::size_t events_ = 0;
};

[[noreturn]] void wrong(const Json& value, const char* key, const std::string& from,
                        const std::string& wanted) {
  fail<DataError>("{}: \"{}\" is {}, not {}.", from, key,
                  shown(value.dump(-1, ' ', true, Json::error_handler_t::replace)), wanted);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& from, const JsonLimits& limits) {
  require<DataError>(text.size() <= limits.bytes, "{}: {} bytes, more than {}.", from, text.size(),
                     limits.bytes);
  // The parser would take a zero byte for the end and leave unread what follows.
  const std::size_t zero = text.find('\0');
  require<DataError>(zero == text.npos, "{}: byte {} is not JSON in UTF-8.", from, zero + 1);
  Watch watch(from, limits);
  try {
    return Json::parse(text, [&](int, Event event, Json&) {
      watch(event);
      return true;
    });
  } catch (const Json::parse_error& error) {
    fail<DataError>("{}: byte {} is not JSON in UTF-8.", from, error.byte);
  } catch (const Json::out_of_range&) {
    fail<DataError>("{}: a number is too large for 64 bits.", from);
  }
}

const Json& value_in(const Json& object, const char* key, const std::string& from) {
  require<DataError>(object.is_object(), "{}: {} is not an object with \"{}\".", from,
                     object.type_name(), key);
  const auto found = object.find(key);
  require<DataError>(found != object.end(), "{}: there is no \"{}\".", from, key);
  return *found;
}

const Json& object_in(const Json& object, const char* key, const std::string& from) {
  const Json& value = value_in(object, key, from);
  if (!value.is_object())
    wrong(value, key, from, "an object");
  return value;
}

const std::string& text_in(const Json& object, const char* key, const std::string& from) {
  const Json& value = value_in(object, key, from);
  if (!value.is_string())
    wrong(value, key, from, "a text");
  return value.get_ref<const std::string&>();
}

std::int64_t integer_in(const Json& object, const char* key, const std::string& from,
                        std::int64_t lowest, std::int64_t highest) {
  const Json& value = value_in(object, key, from);
  const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX;
  if (!value.is_number_integer() || huge || value.get<std::int64_t>() < lowest ||
      value.get<std::int64_t>() > highest)
    wrong(value, key, from, fmt::format("a whole number from {} to {}", lowest, highest));
  return value.get<std::int64_t>();
}

}  // namespace likely
