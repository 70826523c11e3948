// IDX files, checked before a byte of them is believed.
#include "zoo/data/idx.h"

#include <algorithm>

#include "zoo/data/sha256.h"
#include "zoo/data/uncompressed_file.h"

namespace likely {
namespace {

constexpr int unsigned_byte = 0x08;

// The declared shape; its product is known to fit.
Shape read_header(UncompressedFile& source) {
  const std::string file = source.file().string();
  const auto read = [&](std::uint8_t(&bytes)[4]) {
    require<DataError>(source.read(bytes, 4) == 4,
                       "idx: {} ends inside its header. Fetch it again.", file);
  };
  std::uint8_t word[4];
  read(word);
  require<DataError>(word[0] == 0 && word[1] == 0,
                     "idx: {} is no IDX file: it starts with the bytes {:02x} {:02x}, not 00 00. "
                     "Put an IDX file there, raw or gzip.",
                     file, word[0], word[1]);
  require<DataError>(word[2] == unsigned_byte,
                     "idx: {} holds values of type 0x{:02x}: images and labels are unsigned bytes, "
                     "0x08. Convert it.",
                     file, word[2]);
  const int rank = word[3];
  require<DataError>(rank >= 1 && rank <= 4,
                     "idx: {} declares {} dimensions, labels have 1 and images 3 or 4. Fetch it "
                     "again.",
                     file, rank);
  Shape shape;
  std::optional<std::uint64_t> values = 1;
  for (int axis = 0; axis < rank; ++axis) {
    read(word);
    const std::uint32_t extent =
        std::uint32_t{word[0]} << 24 | word[1] << 16 | word[2] << 8 | word[3];
    shape.push_back(extent);
    values = values ? checked_product(*values, extent) : values;
  }
  require<DataError>(values.has_value(),
                     "idx: {} declares the shape {}, more values than can be counted. Fetch it "
                     "again.",
                     file, shape);
  require<DataError>(*values > 0, "idx: {} declares the shape {}, no values. Fetch it again.", file,
                     shape);
  const std::uint64_t header = 4 + 4 * static_cast<std::uint64_t>(rank);
  const std::optional<std::uint64_t> needed = checked_sum(*values, header);
  require<DataError>(needed && *needed <= source.most(),
                     "idx: {} ends early: its header declares the shape {}, which a file of this "
                     "size cannot hold. Fetch it again.",
                     file, shape);
  return shape;
}

}  // namespace

Tensor read_idx(const std::filesystem::path& file) {
  UncompressedFile source(file);
  const Shape shape = read_header(source);
  Tensor result = Tensor::empty(shape, DType::u8);
  const std::size_t got = source.read(result.data<std::uint8_t>(), result.bytes());
  require<DataError>(got == result.bytes(),
                     "idx: {} ends early: its header declares the shape {}, {} values, and {} "
                     "follow. Fetch it again.",
                     file.string(), shape, result.bytes(), got);
  std::uint8_t more;
  require<DataError>(
      source.read(&more, 1) == 0,
      "idx: {} goes on after the {} values that its header declares. Fetch it again.",
      file.string(), result.bytes());
  return result;
}

Shape read_idx_shape(const std::filesystem::path& file) {
  UncompressedFile source(file);
  return read_header(source);
}

LabelledImages read_labelled_images(const std::filesystem::path& images,
                                    const std::filesystem::path& labels, int classes) {
  LabelledImages result{read_idx(images), read_idx(labels)};
  require<DataError>(result.images.rank() >= 3,
                     "idx: {} has the shape {}, not that of images. Is "
                     "it a file of labels?",
                     images.string(), result.images.shape());
  require<DataError>(result.labels.rank() == 1,
                     "idx: {} has the shape {}, not that of labels. Is "
                     "it a file of images?",
                     labels.string(), result.labels.shape());
  require<DataError>(
      result.images.size(0) == result.labels.size(0),
      "idx: {} has {} images and {} has {} labels. Take both files from one release.",
      images.string(), result.images.size(0), labels.string(), result.labels.size(0));
  const std::uint8_t* const begin = result.labels.data<std::uint8_t>();
  const std::uint8_t* const end = begin + result.labels.numel();
  const std::uint8_t* const wrong =
      std::find_if(begin, end, [&](std::uint8_t label) { return label >= classes; });
  require<DataError>(wrong == end,
                     "idx: label {} of {} is {}, the classes are 0 to {}. Fetch the file again.",
                     wrong - begin, labels.string(), wrong == end ? 0 : *wrong, classes - 1);
  return result;
}

std::string content_sha256(const std::filesystem::path& file) {
  UncompressedFile source(file);
  Sha256 sha256;
  std::vector<std::uint8_t> buffer(1 << 16);
  while (const std::size_t got = source.read(buffer.data(), buffer.size()))
    sha256.add(buffer.data(), got);
  return sha256.digest();
}

}  // namespace likely
