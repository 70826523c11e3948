// Safetensors: 8 bytes with the header's length, the header, the data of all tensors without gaps.
#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>

#include "tensor/nearest.h"
#include "tensor/safetensors_header.h"
#include "tensor/shown.h"

namespace likely {
namespace {

static_assert(std::endian::native == std::endian::little);  // as the format is

using Header = SafeTensorsHeader;

SafeTensors read_tensors(const ByteSource& source) {
  const std::string& file = source.name();
  const std::uint64_t prefix = sizeof(std::uint64_t);
  require<DataError>(source.size() >= prefix,
                     "safetensors: {}: {} bytes are no safetensors file: even the length of its "
                     "header takes {}.",
                     file, source.size(), prefix);
  std::uint64_t length = 0;
  source.read(0, &length, sizeof length);
  require<DataError>(length <= Header::max_bytes,
                     "safetensors: {}: a header of {} bytes is longer than {}. It is no "
                     "safetensors file, or damaged.",
                     file, length, Header::max_bytes);
  require<DataError>(length <= source.size() - prefix,
                     "safetensors: {}: a header of {} bytes does not fit into {} bytes. The file "
                     "was cut short, or is no safetensors file.",
                     file, length, source.size());
  std::string text(length, '\0');
  source.read(prefix, text.data(), text.size());
  Header header = parse_safetensors_header(text, source.size() - prefix - length, file);

  SafeTensors content;
  content.metadata = std::move(header.metadata);
  for (Header::Entry& entry : header.entries) {
    const Tensor tensor = Tensor::empty(entry.shape, entry.dtype);
    source.read(prefix + length + entry.begin, tensor.raw(), tensor.bytes());
    content.tensors.emplace_back(std::move(entry.name), tensor);
  }
  return content;
}

// The order of the data: by descending element size, among equals as given.
std::vector<std::size_t> data_order(const SafeTensors& content) {
  std::vector<std::size_t> order(content.tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) {
    return size_of(content.tensors[i].second.dtype());
  });
  return order;
}

}  // namespace

const Tensor& SafeTensors::at(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& [known, tensor] : tensors) {
    if (known == name)
      return tensor;
    names.push_back(known);
  }
  fail<DataError>("safetensors: there is no tensor {} among {}. The nearest name is {}.",
                  in_quotes(name), names.size(), in_quotes(nearest(name, names)));
}

SafeTensors load_safetensors(const std::string& path) {
  return read_tensors(ByteSource::file("safetensors", path));
}

SafeTensors from_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  return read_tensors(ByteSource::memory(bytes, name));
}

void write_safetensors(const SafeTensors& content, const ByteSink& sink) {
  Header header;
  header.metadata = content.metadata;
  for (const auto& [name, tensor] : content.tensors) {
    require(tensor.defined() && !tensor.is_meta(), "safetensors: the tensor {} has no values.",
            in_quotes(name));
    header.entries.push_back({.name = name, .dtype = tensor.dtype(), .shape = tensor.shape()});
  }
  const std::vector<std::size_t> order = data_order(content);
  std::uint64_t reached = 0;
  for (const std::size_t i : order) {
    header.entries[i].begin = reached;
    header.entries[i].end = reached += content.tensors[i].second.bytes();
  }
  const std::string text = format_safetensors_header(header);
  const std::uint64_t length = text.size();
  sink(&length, sizeof length);
  sink(text.data(), text.size());
  for (const std::size_t i : order)
    write_elements(content.tensors[i].second, sink);
}

std::vector<std::byte> to_safetensors(const SafeTensors& content) {
  return bytes_of([&](const ByteSink& sink) { write_safetensors(content, sink); });
}

void save_safetensors(const std::string& path, const SafeTensors& content) {
  save_file(path, [&](const ByteSink& sink) { write_safetensors(content, sink); });
}

}  // namespace likely
