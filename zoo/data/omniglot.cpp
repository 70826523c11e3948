#include "zoo/data/omniglot.h"

#include "zoo/data/stored.h"

namespace likely {
namespace {

constexpr std::int64_t characters = 242, drawers = 20, omniglot_side = 28;

std::unique_ptr<DataSet> make_omniglot(const DataOptions& options) {
  const DataSetDescription set = omniglot_description();
  const Binarisation how = options.binarisation.value_or(Binarisation::sampled);
  require<UsageError>(how != Binarisation::fixed,
                      "data: omniglot has no published fixed binarisation of these images. Use "
                      "sampled, thresholded or none.");
  const Tensor images = load_idx(set, set.files[0], options);
  Tensor labels = Tensor::empty({characters * drawers}, DType::u8, options.device);
  SplitRows rows;
  for (std::int64_t row = 0; row < characters * drawers; ++row) {
    const std::int64_t drawer = row % drawers;
    rows[drawer < 16 ? 0 : drawer < 18 ? 1 : 2].push_back(row);
    if (!labels.is_meta())
      labels.data<std::uint8_t>()[row] = static_cast<std::uint8_t>(row / drawers);
  }
  const std::string name =
      how == Binarisation::none
          ? "omniglot (8 alphabets), grey"
          : fmt::format(
                "omniglot (8 alphabets), {} binarisation{}", name_of(how),
                how == Binarisation::sampled ? fmt::format(" (seed {})", options.seed) : "");
  return make_stored(name, {omniglot_side, omniglot_side, 1},
                     divided(images, labels, {}, rows, how), options, characters);
}

}  // namespace

DataSetDescription omniglot_description() {
  return {"omniglot",
          "3872 + 484 + 484 images of 28x28",
          "handwritten characters: binarisation sampled, thresholded or none; not the split of "
          "published likelihoods",
          "B. Lake, https://github.com/brendenlake/omniglot (two small background sets, scaled to "
          "28x28 by area), MIT",
          {{"omniglot/images28-idx3-ubyte",
            {characters * drawers, omniglot_side, omniglot_side},
            "75f9ed7e124e0056452371891e8d7ba297be6437f03aea927c41acb07cb21e01"}},
          make_omniglot};
}

}  // namespace likely
