#include "zoo/data/cifar.h"

#include <algorithm>
#include <numeric>

#include "kernels/copy.h"
#include "zoo/data/stored.h"
#include "zoo/data/uncompressed_file.h"

namespace likely {
namespace {

constexpr std::int64_t cifar_side = 32, pixels = cifar_side * cifar_side, record = 1 + 3 * pixels;

LabelledImages load(const DataSetDescription& set, const DataFile& file,
                    const DataOptions& options) {
  const std::int64_t count = file.shape[0];
  if (options.device.kind == Device::meta)
    return {Tensor::empty({count, cifar_side, cifar_side, 3}, DType::u8, options.device),
            Tensor::empty({count}, DType::u8, options.device)};
  return read_cifar(locate_or_explain(set, file, options.directory), count);
}

// All files but the last are for training, their last `held_out` images for validation.
std::unique_ptr<DataSet> make(const DataSetDescription& set, std::int64_t held_out,
                              const DataOptions& options) {
  refuse_binarisation(set.name, options);
  Tensors images, labels;
  for (std::size_t i = 0; i + 1 < set.files.size(); ++i) {
    const LabelledImages part = load(set, set.files[i], options);
    images.push_back(part.images);
    labels.push_back(part.labels);
  }
  const LabelledImages train{kernels::concatenate(images, 0), kernels::concatenate(labels, 0)},
      test = load(set, set.files.back(), options);
  const std::int64_t count = train.images.size(0), trained = count - held_out;
  const auto part = [&](Split split, std::int64_t begin, std::int64_t end) -> StoredSplit {
    return {train.images.slice(0, begin, end), train.labels.slice(0, begin, end), name_of(split)};
  };
  return make_stored(set.name, {cifar_side, cifar_side, 3},
                     {part(Split::train, 0, trained), part(Split::validation, trained, count),
                      StoredSplit{test.images, test.labels, name_of(Split::test)}},
                     options, 10);
}

constexpr const char* cifar_classes =
    "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck";

}  // namespace

LabelledImages read_cifar(const std::filesystem::path& file, std::int64_t count) {
  UncompressedFile source(file);
  require<DataError>(static_cast<std::uint64_t>(count * record) <= source.most(),
                     "cifar: {} ends early: it cannot hold {} images of {} bytes. Fetch it again.",
                     file.string(), count, record);
  LabelledImages result{Tensor::empty({count, cifar_side, cifar_side, 3}, DType::u8),
                        Tensor::empty({count}, DType::u8)};
  std::vector<std::uint8_t> bytes(record);
  std::uint8_t* to = result.images.data<std::uint8_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    require<DataError>(source.read(bytes.data(), record) == record,
                       "cifar: {} ends early, inside image {} of {}. Fetch it again.",
                       file.string(), i, count);
    require<DataError>(bytes[0] < 10,
                       "cifar: label {} of {} is {}, the classes are 0 to 9. Is it CIFAR-10 in its "
                       "binary form?",
                       i, file.string(), bytes[0]);
    result.labels.data<std::uint8_t>()[i] = bytes[0];
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel)
      for (std::int64_t channel = 0; channel < 3; ++channel)
        *to++ = bytes[1 + channel * pixels + pixel];
  }
  std::uint8_t more;
  require<DataError>(source.read(&more, 1) == 0,
                     "cifar: {} goes on after {} images. Is it the published file?", file.string(),
                     count);
  return result;
}

DataSetDescription cifar_description() {
  std::vector<DataFile> files;
  for (int i = 1; i <= 5; ++i)
    files.push_back(
        {fmt::format("cifar-10-batches-bin/data_batch_{}.bin", i), {10000, record}, ""});
  files.push_back({"cifar-10-batches-bin/test_batch.bin", {10000, record}, ""});
  return {"cifar-10",
          "45000 + 5000 + 10000 images of 32x32x3",
          cifar_classes,
          "A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html (binary version), no licence "
          "stated",
          files,
          [](const DataOptions& options) { return make(cifar_description(), 5000, options); }};
}

DataSetDescription small_cifar_description() {
  return {
      "cifar-10-small",
      "9000 + 1000 + 4000 images of 32x32x3",
      "a part of cifar-10, in another order: not comparable with figures on the whole",
      "cyizhuo/CIFAR-10-dataset on GitHub, as binary records; no licence stated",
      {{"cifar10/train_1.bin",
        {10000, record},
        "8df01a1d431209d663b69efc2e56139b90ba0f9f8d92c102be446de27fdfb995"},
       {"cifar10/test.bin",
        {4000, record},
        "499467fdf5dc29fdb401260921bdf7f58ab49bba8faba5a11f0e7c2e729a0c6d"}},
      [](const DataOptions& options) { return make(small_cifar_description(), 1000, options); }};
}

}  // namespace likely
