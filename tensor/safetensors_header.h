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
  // Limits for reader and writer: a reader of a header at all of them takes less than 100 MB.
  static constexpr std::uint64_t max_bytes = 1 << 25;
  static constexpr std::size_t max_tensors = 100'000, max_metadata = 10'000, max_name_bytes = 4096;
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

}  // namespace likely
