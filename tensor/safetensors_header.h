// The JSON header of a safetensors file, every rule of the format checked.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace likely {

struct SafeTensorsHeader {
  // Limits for reader and writer; the first is the reference implementation's.
  static constexpr std::uint64_t max_bytes = 100'000'000;
  static constexpr std::size_t max_tensors = 1'000'000, max_name_bytes = 4096;
  static constexpr const char* metadata_key = "__metadata__";

  struct Entry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    std::uint64_t begin = 0, end = 0;  // bytes into the data behind the header
  };
  std::vector<Entry> entries;  // in the order of the header
  std::map<std::string, std::string> metadata;
};

// DataError where `json` is no header of `data_bytes` bytes of data; `file` is for the message.
SafeTensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                           const std::string& file);

// The header's JSON, padded with spaces to a multiple of 8 bytes. Error where a rule would be
// broken.
std::string format_safetensors_header(const SafeTensorsHeader& header);

// A name as a message prints it: in quotes, control characters escaped, cut where it is long. Only
// a message that is printed pays for that.
struct Printable {
  const std::string& name;
};

}  // namespace likely

template <>
struct fmt::formatter<likely::Printable> : likely::PlainFormatter {
  fmt::appender format(likely::Printable printable, format_context& context) const;
};
