// The header of a safetensors file, read through a JSON parser that builds no tree: each value is
// checked when it is met, so that depth and memory are bounded by the rules and not by the file.
#include "tensor/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "tensor/shown.h"

namespace likely {
namespace {

using nlohmann::json;
using Header = SafeTensorsHeader;
using Entry = Header::Entry;

// The format's names, in the order of DType.
constexpr const char* dtype_names[] = {"F32", "F64", "BF16", "I64", "I32", "U8"};

// Fails with one rule of the format.
class Rules {
 public:
  explicit Rules(const std::string& file) : file_(file) {}

  template <class... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> rule, Args&&... args) const {
    fail<DataError>(
        "safetensors: {}: {}. The file is damaged or written wrongly: fetch or save it again.",
        file_, fmt::format(rule, std::forward<Args>(args)...));
  }
  template <class... Args>
  void demand(bool holds, fmt::format_string<Args...> rule, Args&&... args) const {
    if (!holds)
      broken(rule, std::forward<Args>(args)...);
  }
  const std::string& file() const { return file_; }

 private:
  const std::string& file_;
};

// What the parser calls, value by value. Objects may hold only what the format knows, so nothing
// nests deeper than file, tensor, list.
class HeaderReader {
 public:
  HeaderReader(const Rules& rules, Header& header) : rules_(rules), header_(header) {}

  bool start_object(std::size_t) {
    if (at_ == At::outside)
      at_ = At::file;
    else if (at_ == At::file && key_ == Header::metadata_key)
      at_ = At::metadata;
    else if (at_ == At::file)
      start_tensor();
    else
      unexpected("an object");
    return true;
  }

  bool key(std::string& key) {
    if (at_ == At::file) {
      rules_.demand(key.size() <= Header::max_name_bytes, "the name {} has {} bytes, more than {}",
                    in_quotes(key), key.size(), Header::max_name_bytes);
      rules_.demand(names_.insert(key).second, "the name {} is there twice", in_quotes(key));
    } else if (at_ == At::metadata) {
      rules_.demand(
          header_.metadata.size() < Header::max_metadata && key.size() <= Header::max_name_bytes,
          "it has metadata of more than {} keys of {} bytes", Header::max_metadata,
          Header::max_name_bytes);
      rules_.demand(!header_.metadata.contains(key), "the metadata key {} is there twice",
                    in_quotes(key));
    } else {
      rules_.demand(key == "dtype" || key == "shape" || key == "data_offsets",
                    "tensor {}: it has the unknown field {}", in_quotes(entry().name),
                    in_quotes(key));
      rules_.demand(fields_.insert(key).second, "tensor {}: it has the field {} twice",
                    in_quotes(entry().name), in_quotes(key));
    }
    key_ = key;
    return true;
  }

  bool string(std::string& value) {
    if (at_ == At::metadata)
      header_.metadata.emplace(key_, value);
    else if (at_ == At::tensor && key_ == "dtype")
      entry().dtype = dtype_named(value);
    else
      unexpected("a string");
    return true;
  }

  bool start_array(std::size_t) {
    if (at_ != At::tensor || key_ == "dtype")
      unexpected("a list");
    at_ = key_ == "shape" ? At::shape : At::offsets;
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (at_ == At::shape) {
      rules_.demand(value <= std::numeric_limits<std::int64_t>::max(),
                    "tensor {}: the extent {} is no 63-bit number", in_quotes(entry().name), value);
      rules_.demand(entry().shape.rank() < Shape::max_rank, "tensor {}: it has more than {} axes",
                    in_quotes(entry().name), Shape::max_rank);
      entry().shape.push_back(static_cast<std::int64_t>(value));
    } else if (at_ == At::offsets) {
      rules_.demand(offsets_ < 2, "tensor {}: it has more than two data offsets",
                    in_quotes(entry().name));
      (offsets_++ == 0 ? entry().begin : entry().end) = value;
    } else {
      unexpected("a number");
    }
    return true;
  }

  bool end_array() {
    rules_.demand(at_ != At::offsets || offsets_ == 2, "tensor {}: it has {} data offsets, not two",
                  in_quotes(entry().name), offsets_);
    at_ = At::tensor;
    return true;
  }

  bool end_object() {
    if (at_ == At::tensor)
      finish_tensor();
    at_ = at_ == At::file ? At::outside : At::file;
    return true;
  }

  bool number_integer(std::int64_t) { unexpected("a negative number"); }
  bool number_float(double, const std::string&) {
    unexpected("a number that is no 64-bit integer");
  }
  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("a truth value"); }
  bool binary(json::binary_t&) { unexpected("bytes"); }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) {
    rules_.broken("byte {} of the header is not JSON in UTF-8", position);
  }

 private:
  enum class At { outside, file, metadata, tensor, shape, offsets };

  Entry& entry() { return header_.entries.back(); }

  void start_tensor() {
    rules_.demand(header_.entries.size() < Header::max_tensors, "it has more than {} tensors",
                  Header::max_tensors);
    header_.entries.emplace_back().name = key_;
    fields_.clear();
    offsets_ = 0;
    at_ = At::tensor;
  }

  void finish_tensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"})
      rules_.demand(fields_.contains(field), "tensor {}: it has no field \"{}\"",
                    in_quotes(entry().name), field);
    const char* const dtype = dtype_names[static_cast<int>(entry().dtype)];
    const auto bytes = checked_bytes(entry().shape, size_of(entry().dtype));
    rules_.demand(bytes.has_value(), "tensor {}: the size of {} {} overflows",
                  in_quotes(entry().name), dtype, entry().shape);
    rules_.demand(entry().begin <= entry().end, "tensor {}: its data begins at {} and ends at {}",
                  in_quotes(entry().name), entry().begin, entry().end);
    rules_.demand(entry().end - entry().begin == *bytes,
                  "tensor {}: {} {} needs {} bytes and its offsets hold {}",
                  in_quotes(entry().name), dtype, entry().shape, *bytes,
                  entry().end - entry().begin);
  }

  DType dtype_named(const std::string& name) const {
    const auto found = std::ranges::find(dtype_names, name);
    require<DataError>(
        found != std::end(dtype_names),
        "safetensors: {}: tensor {}: there is no element type {} here. Convert it to one of {}.",
        rules_.file(), in_quotes(header_.entries.back().name), in_quotes(name),
        fmt::join(dtype_names, ", "));
    return static_cast<DType>(found - dtype_names);
  }

  [[noreturn]] void unexpected(const char* what) const {
    if (at_ == At::outside)
      rules_.broken("the header is {}, not an object", what);
    if (at_ == At::metadata)
      rules_.broken("the metadata {} is {}, not a string", in_quotes(key_), what);
    if (at_ == At::file)
      rules_.broken("{} is {}, not an object", in_quotes(key_), what);
    rules_.broken("tensor {}: {} in the field {}", in_quotes(header_.entries.back().name), what,
                  in_quotes(key_));
  }

  const Rules& rules_;
  Header& header_;
  At at_ = At::outside;
  std::string key_;
  std::set<std::string> names_, fields_;
  int offsets_ = 0;
};

// Sorted by offset, each tensor begins where the one before it ended, and the last ends the file.
void check_layout(const Rules& rules, const Header& header, std::uint64_t data_bytes) {
  std::vector<const Entry*> sorted;
  for (const Entry& entry : header.entries)
    sorted.push_back(&entry);
  std::ranges::sort(sorted, {}, [](const Entry* e) { return std::pair(e->begin, e->end); });
  std::uint64_t reached = 0;
  for (const Entry* entry : sorted) {
    rules.demand(entry->begin == reached,
                 "tensor {}: its data begins at {}, the data before it ends at {}: {}",
                 in_quotes(entry->name), entry->begin, reached,
                 entry->begin > reached ? "a gap" : "they overlap");
    reached = entry->end;
  }
  rules.demand(reached >= data_bytes, "{} bytes follow the last tensor", data_bytes - reached);
  rules.demand(reached <= data_bytes, "the tensors need {} bytes and {} are there", reached,
               data_bytes);
}

// What the reader would refuse is not written.
void require_writable(const Header& header) {
  require(header.entries.size() <= Header::max_tensors, "safetensors: {} tensors, more than {}.",
          header.entries.size(), Header::max_tensors);
  std::set<std::string> names{Header::metadata_key};
  for (const Entry& entry : header.entries) {
    require(entry.name.size() <= Header::max_name_bytes && is_utf8(entry.name),
            "safetensors: the name {} is not UTF-8 of at most {} bytes.", in_quotes(entry.name),
            Header::max_name_bytes);
    require(names.insert(entry.name).second,
            "safetensors: the name {} is taken. Give every tensor another.", in_quotes(entry.name));
  }
  require(header.metadata.size() <= Header::max_metadata, "safetensors: {} metadata, more than {}.",
          header.metadata.size(), Header::max_metadata);
  for (const auto& [key, value] : header.metadata)
    require(key.size() <= Header::max_name_bytes && is_utf8(key) && is_utf8(value),
            "safetensors: the metadata {} is not UTF-8.", in_quotes(key));
}

}  // namespace

SafeTensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                           const std::string& file) {
  const Rules rules(file);
  rules.demand(text.starts_with('{'), "the header does not begin with {{");
  // The parser would take a zero byte for the end and leave unread what follows.
  const std::size_t zero = text.find('\0');
  rules.demand(zero == text.npos, "byte {} of the header is not JSON in UTF-8", zero + 1);
  Header header;
  HeaderReader reader(rules, header);
  json::sax_parse(text, &reader);
  check_layout(rules, header, data_bytes);
  return header;
}

std::string format_safetensors_header(const SafeTensorsHeader& header) {
  require_writable(header);
  std::string text;
  const auto begin_field = [&](const std::string& name) {
    text += text.empty() ? "{" : ",";
    text += json(name).dump() + ":";
  };
  if (!header.metadata.empty()) {
    begin_field(Header::metadata_key);
    text += json(header.metadata).dump();
  }
  for (const Entry& entry : header.entries) {
    begin_field(entry.name);
    text += fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        dtype_names[static_cast<int>(entry.dtype)], fmt::join(entry.shape, ","),
                        entry.begin, entry.end);
  }
  text += text.empty() ? "{}" : "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= Header::max_bytes, "safetensors: the header has {} bytes, more than {}.",
          text.size(), Header::max_bytes);
  return text;
}

}  // namespace likely
