// Sets of 28x28 grey or black and white images.
#include "zoo/data/mnist.h"

#include <algorithm>
#include <array>

#include "zoo/data/idx.h"
#include "zoo/data/stored.h"

namespace likely {
namespace {

constexpr std::int64_t mnist_side = 28, trained = 50000, held_out = 10000;
constexpr int digits = 10;

LabelledImages load_labelled(const DataSetDescription& set, const DataFile& images,
                             const DataFile& labels, const DataOptions& options) {
  if (options.device.kind == Device::meta)
    return {load_idx(set, images, options), load_idx(set, labels, options)};
  const auto image_path = locate_or_explain(set, images, options.directory);
  const auto label_path = locate_or_explain(set, labels, options.directory);
  require_shape(images, image_path, set.name);
  return read_labelled_images(image_path, label_path, digits);
}

Tensor load_binary(const DataSetDescription& set, const DataFile& file,
                   const DataOptions& options) {
  Tensor images = load_idx(set, file, options);
  if (images.is_meta())
    return images;
  const std::uint8_t* const begin = images.data<std::uint8_t>();
  const std::uint8_t* const end = begin + images.numel();
  const std::uint8_t* const grey = std::find_if(begin, end, [](std::uint8_t v) { return v > 1; });
  require<DataError>(grey == end,
                     "data: {} holds the value {} in image {}: the pixels of {} are 0 or 1. Fetch "
                     "the published file.",
                     locate(file, options.directory).string(), grey == end ? 0 : *grey,
                     (grey - begin) / (mnist_side * mnist_side), set.name);
  return images;
}

std::unique_ptr<DataSet> make_binarized_mnist(const DataOptions& options) {
  const DataSetDescription set = binarized_mnist_description();
  if (const Binarisation how = options.binarisation.value_or(Binarisation::fixed);
      how != Binarisation::fixed)
    fail<UsageError>(
        "data: binarized-mnist is one fixed draw. Use --data mnist for --binarisation {}.",
        name_of(how));
  StoredSplits splits;
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const auto i = static_cast<std::size_t>(split);
    splits[i] = {load_binary(set, set.files[i], options), {}, name_of(split), Binarisation::fixed};
  }
  return make_stored("binarized-mnist, fixed binarisation", {mnist_side, mnist_side, 1}, splits,
                     options);
}

std::unique_ptr<DataSet> make_grey(const DataSetDescription& set, const DataOptions& options) {
  const Binarisation how = options.binarisation.value_or(Binarisation::sampled);
  const bool sampled = how == Binarisation::sampled;
  const LabelledImages train = load_labelled(set, set.files[0], set.files[1], options);
  const auto part = [&](Split split, std::int64_t begin, std::int64_t end) -> StoredSplit {
    return {train.images.slice(0, begin, end), train.labels.slice(0, begin, end), name_of(split),
            how};
  };
  const DataSetDescription published = binarized_mnist_description();
  const DataFile& published_test = published.files[2];
  StoredSplit test;
  if (sampled && set.name == "mnist" && !locate(published_test, options.directory).empty()) {
    test = {load_binary(published, published_test, options),
            {},
            "binarized-mnist test",
            Binarisation::fixed};
  } else {
    LabelledImages all = load_labelled(set, set.files[2], set.files[3], options);
    test = {all.images, all.labels, name_of(Split::test), how};
  }
  const std::string seed = sampled ? fmt::format(" (seed {})", options.seed) : "";
  return make_stored(how == Binarisation::none
                         ? set.name + ", grey"
                         : fmt::format("{}, {} binarisation{}", set.name, name_of(how), seed),
                     {mnist_side, mnist_side, 1},
                     StoredSplits{part(Split::train, 0, trained),
                                  part(Split::validation, trained, trained + held_out), test},
                     options, digits);
}

std::vector<DataFile> grey_files(const std::string& folder,
                                 const std::array<const char*, 4>& sha256) {
  return {{folder + "/train-images-idx3-ubyte", {60000, mnist_side, mnist_side}, sha256[0]},
          {folder + "/train-labels-idx1-ubyte", {60000}, sha256[1]},
          {folder + "/t10k-images-idx3-ubyte", {held_out, mnist_side, mnist_side}, sha256[2]},
          {folder + "/t10k-labels-idx1-ubyte", {held_out}, sha256[3]}};
}

constexpr const char* sizes = "50000 + 10000 + 10000 images of 28x28";

}  // namespace

DataSetDescription mnist_description() {
  return {"mnist",
          sizes,
          "handwritten digits: binarisation sampled, thresholded, fixed or none",
          "LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist, CC BY-SA 3.0",
          grey_files("mnist", {"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                               "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                               "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                               "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}),
          [](const DataOptions& options) {
            return options.binarisation == Binarisation::fixed
                       ? make_binarized_mnist(options)
                       : make_grey(mnist_description(), options);
          }};
}

DataSetDescription fashion_mnist_description() {
  return {"fashion-mnist",
          sizes,
          "articles of clothing: binarisation sampled, thresholded or none",
          "Zalando SE, https://github.com/zalandoresearch/fashion-mnist, MIT",
          grey_files("fashion-mnist",
                     {"c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                      "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                      "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                      "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}),
          [](const DataOptions& options) {
            require<UsageError>(options.binarisation != Binarisation::fixed,
                                "data: fashion-mnist has no published fixed binarisation. Use "
                                "sampled, thresholded or none.");
            return make_grey(fashion_mnist_description(), options);
          }};
}

DataSetDescription binarized_mnist_description() {
  const std::string stem = "binarized-mnist/binarized_mnist_";
  return {"binarized-mnist",
          sizes,
          "mnist as Salakhutdinov & Murray (2008) drew it once, of black and white pixels",
          "H. Larochelle, http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist "
          "(the .amat files, rewritten as IDX), CC BY-SA 3.0",
          {{stem + "train-images-idx3-ubyte",
            {trained, mnist_side, mnist_side},
            "0eae7dff54784fdce12433da8ed5d8549d4676c91740d78aa0b18fa99a8b96f2"},
           {stem + "valid-images-idx3-ubyte",
            {held_out, mnist_side, mnist_side},
            "1b017d51bf2733a6cbde62f26dd36be91c88ab4e95f8de9cdafadcb26fe9a852"},
           {stem + "test-images-idx3-ubyte",
            {held_out, mnist_side, mnist_side},
            "491785121c5ff9ffb073809cd7c755a241b9e04052f1cf2ec7c9608a9346e097"}},
          make_binarized_mnist};
}

}  // namespace likely
