#include "zoo/data/stored.h"

#include <algorithm>

#include "kernels/copy.h"
#include "zoo/data/idx.h"
#include "zoo/data/sha256.h"

namespace likely {
namespace {

class StoredSet final : public DataSet {
 public:
  StoredSet(std::string name, const Shape& image, StoredSplits splits, const DataOptions& options,
            std::int64_t classes, std::string left_out)
      : DataSet(std::move(name), image, splits.front().binarisation == Binarisation::none ? 256 : 2,
                options.seed, options.device),
        splits_(std::move(splits)),
        classes_(classes),
        left_out_(std::move(left_out)) {}

  std::int64_t size(Split split) const override { return of(split).images.size(0); }
  std::string split_name(Split split) const override { return of(split).name; }
  Tensor labels(Split split) const override { return of(split).labels; }
  std::int64_t classes() const override { return classes_; }
  std::string left_out() const override { return left_out_; }
  std::string content() const override {
    if (content_.empty() && !splits_.front().images.is_meta())
      content_ = "sha256 " + digest();
    return content_;
  }

 private:
  const StoredSplit& of(Split split) const { return splits_[static_cast<std::size_t>(split)]; }

  // Of the images, labels and captions of each split, with their shapes.
  std::string digest() const {
    Sha256 sha256;
    const auto add_text = [&](const std::string& text) {
      sha256.add(text.c_str(), text.size() + 1);
    };
    for (const StoredSplit& split : splits_) {
      for (const Tensor& tensor : {split.images, split.labels})
        if (tensor.defined()) {
          const Tensor whole = kernels::contiguous(tensor);
          add_text(fmt::format("{}", whole.shape()));
          sha256.add(whole.data<std::uint8_t>(), whole.bytes());
        }
      for (const std::string& caption : split.captions)
        add_text(caption);
    }
    return sha256.digest();
  }

  std::string caption(Split split, std::int64_t row, const ImageWords&) const override {
    const std::vector<std::string>& captions = of(split).captions;
    return captions.empty() ? std::string() : captions[static_cast<std::size_t>(row)];
  }

  void write_image(Split split, std::int64_t row, const ImageWords& words,
                   std::uint8_t* pixels) const override {
    const std::int64_t size = image().numel();
    const std::uint8_t* const grey = of(split).images.data<std::uint8_t>() + row * size;
    switch (of(split).binarisation) {
      case Binarisation::fixed:
      case Binarisation::none:
        std::copy(grey, grey + size, pixels);
        break;
      case Binarisation::thresholded:
        std::transform(grey, grey + size, pixels, [](std::uint8_t v) { return v > 127; });
        break;
      case Binarisation::sampled:
        for (std::int64_t i = 0; i < size; i += 4) {
          PhiloxBlock block{};  // its words decide nothing where all four are black or white
          const std::int64_t end = std::min(i + 4, size);
          if (std::any_of(grey + i, grey + end, [](std::uint8_t v) { return v > 0 && v < 255; }))
            block = words.block(static_cast<std::uint32_t>(i / 4));
          for (std::int64_t j = i; j < end; ++j)  // word / 2^32 < value / 255
            pixels[j] = std::uint64_t{block.word[j - i]} * 255 < std::uint64_t{grey[j]} << 32;
        }
        break;
    }
  }

  StoredSplits splits_;
  std::int64_t classes_;
  std::string left_out_;
  mutable std::string content_;  // once somebody asked
};

Tensor chosen(const Tensor& from, const std::vector<std::int64_t>& rows) {
  Shape shape = from.shape();
  shape[0] = static_cast<std::int64_t>(rows.size());
  if (from.is_meta())
    return Tensor::empty(shape, DType::u8, from.device());
  const Tensor result = Tensor::empty(shape, DType::u8);
  const std::int64_t bytes = from.numel() / from.size(0);
  std::uint8_t* to = result.data<std::uint8_t>();
  for (const std::int64_t row : rows)
    to = std::copy_n(from.data<std::uint8_t>() + row * bytes, bytes, to);
  return result;
}

}  // namespace

std::unique_ptr<DataSet> make_stored(std::string name, const Shape& image, StoredSplits splits,
                                     const DataOptions& options, std::int64_t classes,
                                     std::string left_out) {
  return std::make_unique<StoredSet>(std::move(name), image, std::move(splits), options, classes,
                                     std::move(left_out));
}

StoredSplits divided(const Tensor& images, const Tensor& labels,
                     const std::vector<std::string>& captions, const SplitRows& rows,
                     Binarisation binarisation) {
  StoredSplits splits;
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const auto i = static_cast<std::size_t>(split);
    splits[i] = {chosen(images, rows[i]),
                 labels.defined() ? chosen(labels, rows[i]) : labels,
                 name_of(split),
                 binarisation,
                 {}};
    if (!captions.empty())
      for (const std::int64_t row : rows[i])
        splits[i].captions.push_back(captions[static_cast<std::size_t>(row)]);
  }
  return splits;
}

void refuse_binarisation(const std::string& set, const DataOptions& options) {
  if (options.binarisation.value_or(Binarisation::none) != Binarisation::none)
    fail<UsageError>("data: {} is in colour. Leave out --binarisation {}.", set,
                     name_of(*options.binarisation));
}

std::filesystem::path locate_or_explain(const DataSetDescription& set, const DataFile& file,
                                        const std::filesystem::path& directory) {
  std::filesystem::path path = locate(file, directory);
  if (path.empty()) {
    std::string files;
    for (const DataFile& each : set.files)
      files += fmt::format("\n  {}.gz", (directory / each.path).string());
    fail<DataError>(
        "data: {} needs {}.gz, which is not in {}. Put its files there, or name another "
        "folder with --data-dir or LIKELY_DATA. It is read from{}\n(or the same without "
        ".gz), from {}",
        set.name, file.path, directory.string(), files, set.origin);
  }
  return path;
}

void require_shape(const DataFile& file, const std::filesystem::path& path,
                   const std::string& set) {
  const Shape shape = read_idx_shape(path);
  require<DataError>(shape == file.shape,
                     "data: {} has the shape {}, that file of {} has {}. Fetch the published file.",
                     path.string(), shape, set, file.shape);
}

Tensor load_idx(const DataSetDescription& set, const DataFile& file, const DataOptions& options) {
  if (options.device.kind == Device::meta)
    return Tensor::empty(file.shape, DType::u8, options.device);
  const auto path = locate_or_explain(set, file, options.directory);
  require_shape(file, path, set.name);
  return read_idx(path);
}

}  // namespace likely
