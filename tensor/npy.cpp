// The .npy format: a magic word, a version, the header's length, the header (a dictionary as Python
// would print it), the elements.
#include "tensor/npy.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <string_view>
#include <utility>

namespace likely {
namespace {

static_assert(std::endian::native == std::endian::little);  // as the files are

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::uint64_t max_header_bytes = 65535;  // what version 1.0 can say

struct Description {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

template <class... Args>
[[noreturn]] void refuse(const std::string& file, fmt::format_string<Args...> what,
                         Args&&... args) {
  fail<DataError>("npy: {}: {}.", file, fmt::format(what, std::forward<Args>(args)...));
}

// Reads the one dictionary that a header may hold: three keys, each once, in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Description parse() {
    Description result;
    bool descr = false, fortran_order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !std::exchange(descr, true))
        result.descr = element_type();
      else if (key == "fortran_order" && !std::exchange(fortran_order, true))
        result.fortran_order = truth_value();
      else if (key == "shape" && !std::exchange(shape, true))
        result.shape = tuple();
      else
        malformed();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (!descr || !fortran_order || !shape || text_.substr(at_) != "\n")
      malformed();
    return result;
  }

 private:
  [[noreturn]] void malformed() const {
    refuse(file_,
           "byte {} of the header is wrong: it must be a dictionary of descr, fortran_order and "
           "shape, then spaces and a newline. The file is damaged: save it again",
           at_);
  }
  void skip_spaces() { at_ = std::min(text_.find_first_not_of(' ', at_), text_.size()); }
  char next() {
    skip_spaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char wanted) {
    if (next() != wanted)
      return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted))
      malformed();
  }

  std::string string() {
    const char quote = next();
    if (quote != '\'' && quote != '"')
      malformed();
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == text_.npos)
      malformed();
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    if (!std::ranges::all_of(inside, [](char c) { return c >= ' ' && c < 127 && c != '\\'; }))
      malformed();
    at_ = end + 1;
    return std::string(inside);
  }

  std::string element_type() {
    if (next() == '[')
      refuse(file_, "the array has several fields. Save each of them as an array of its own");
    return string();
  }

  bool truth_value() {
    skip_spaces();
    for (const std::string_view word : {"True", "False"})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    malformed();
  }

  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      if (shape.rank() == Shape::max_rank)
        refuse(file_, "the array has more than {} axes. Reshape it", Shape::max_rank);
      shape.push_back(extent());
      if (accept(','))
        continue;
      if (shape.rank() == 1)  // (3) is a number in Python, (3,) a tuple
        malformed();
      expect(')');
      break;
    }
    return shape;
  }

  std::int64_t extent() {
    const auto digit = [&] { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; };
    skip_spaces();
    if (!digit())
      malformed();
    std::int64_t value = 0;
    for (; digit(); ++at_)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        refuse(file_, "an extent is no 63-bit number. The file is damaged: save it again");
    return value;
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t at_ = 0;
};

constexpr std::pair<std::string_view, DType> element_types[] = {
    {"<f4", DType::f32}, {"<f8", DType::f64}, {"<i8", DType::i64},
    {"<i4", DType::i32}, {"|u1", DType::u8},
};

DType element_type(const std::string& descr, const std::string& file) {
  for (const auto& [name, dtype] : element_types)
    if (descr == name)
      return dtype;
  if (descr.starts_with("|O"))
    refuse(file,
           "the array holds Python objects, which only Python can read. Save numbers instead");
  if (descr.starts_with('>'))
    refuse(file, "the array is big endian ({}). Convert it with astype('<{}')", descr,
           descr.substr(1));
  refuse(file, "there is no element type '{}' here. Convert it to one of <f4, <f8, <i8, <i4, |u1",
         descr);
}

std::string header_text(const ByteSource& source, std::uint64_t& data) {
  const std::string& file = source.name();
  char start[8] = {};
  if (source.size() < 10)
    refuse(file, "{} bytes are no .npy file", source.size());
  source.read(0, start, sizeof start);
  if (!std::string_view(start, sizeof start).starts_with(magic))
    refuse(file, "it does not begin as a .npy file does");
  const int major = static_cast<unsigned char>(start[6]),
            minor = static_cast<unsigned char>(start[7]);
  if ((major != 1 && major != 2) || minor != 0)
    refuse(file, "version {}.{} is neither 1.0 nor 2.0", major, minor);

  std::uint32_t length = 0;
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  data = sizeof start + length_bytes;
  if (source.size() < data)
    refuse(file, "{} bytes are no .npy file", source.size());
  source.read(sizeof start, &length, length_bytes);
  if (length > max_header_bytes)
    refuse(file, "a header of {} bytes is longer than {}", length, max_header_bytes);
  if (length > source.size() - data)
    refuse(file, "a header of {} bytes does not fit into {} bytes. The file was cut short", length,
           source.size());
  std::string text(length, '\0');
  source.read(data, text.data(), text.size());
  data += length;
  return text;
}

Tensor read(const ByteSource& source) {
  const std::string& file = source.name();
  std::uint64_t data = 0;
  const std::string text = header_text(source, data);
  const Description array = HeaderParser(text, file).parse();
  const DType dtype = element_type(array.descr, file);

  const std::optional<std::uint64_t> needed = checked_bytes(array.shape, size_of(dtype));
  if (!needed)
    refuse(file, "the size of {} {} overflows. The file is damaged: save it again", dtype,
           array.shape);
  if (source.size() - data != *needed)
    refuse(file, "{} {} needs {} bytes behind the header and {} are there. Save it again", dtype,
           array.shape, *needed, source.size() - data);

  std::vector<int> axes(array.shape.rank());
  std::iota(axes.begin(), axes.end(), 0);
  Shape in_memory = array.shape;
  if (array.fortran_order) {
    std::ranges::reverse(axes);
    for (int i = 0; i < in_memory.rank(); ++i)
      in_memory[i] = array.shape[axes[i]];
  }
  const Tensor tensor = Tensor::empty(in_memory, dtype);
  source.read(data, tensor.raw(), tensor.bytes());
  return tensor.permute(axes);
}

void write(const Tensor& tensor, const ByteSink& sink) {
  const auto found = std::ranges::find(element_types, tensor.dtype(),
                                       [](const auto& type) { return type.second; });
  require(found != std::end(element_types), "npy: NumPy has no {}. Cast to f32 first.",
          tensor.dtype());
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", found->first,
                  fmt::join(tensor.shape(), ", "), tensor.rank() == 1 ? "," : "");
  const std::size_t before = magic.size() + 4;  // the data begins at a multiple of 64 bytes
  text.resize((before + text.size() + 1 + 63) / 64 * 64 - before - 1, ' ');
  text += '\n';
  const char version[] = {1, 0};
  const auto length = static_cast<std::uint16_t>(text.size());
  sink(magic.data(), magic.size());
  sink(version, sizeof version);
  sink(&length, sizeof length);
  sink(text.data(), text.size());
  write_elements(tensor, sink);
}

}  // namespace

Tensor load_npy(const std::string& path) { return read(ByteSource::file("npy", path)); }

Tensor from_npy(std::span<const std::byte> bytes, const std::string& name) {
  return read(ByteSource::memory(bytes, name));
}

std::vector<std::byte> to_npy(const Tensor& tensor) {
  return bytes_of([&](const ByteSink& sink) { write(tensor, sink); });
}

void save_npy(const std::string& path, const Tensor& tensor) {
  save_file(path, [&](const ByteSink& sink) { write(tensor, sink); });
}

}  // namespace likely
