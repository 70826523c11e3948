// Data sets whose images are kept whole as bytes.
#pragma once
#include <array>
#include <memory>

#include "zoo/data/catalogue.h"

namespace likely {

struct StoredSplit {
  Tensor images, labels;  // u8 [n, height, width(, channels)] and [n]; labels may be undefined
  std::string name;
  Binarisation binarisation = Binarisation::none;
  std::vector<std::string> captions = {};  // of each image, or none
};
using StoredSplits = std::array<StoredSplit, 3>;  // by Split

std::unique_ptr<DataSet> make_stored(std::string name, const Shape& image, StoredSplits splits,
                                     const DataOptions& options, std::int64_t classes = 0,
                                     std::string left_out = {});

// Which rows of a file make each split.
using SplitRows = std::array<std::vector<std::int64_t>, 3>;
// The splits of images (and labels, captions, where there are any) that lie in one file.
StoredSplits divided(const Tensor& images, const Tensor& labels,
                     const std::vector<std::string>& captions, const SplitRows& rows,
                     Binarisation binarisation);

// UsageError where `options` ask to make a set in colour black and white.
void refuse_binarisation(const std::string& set, const DataOptions& options);

// The path of a set's file; DataError with all that is needed, where it is missing.
std::filesystem::path locate_or_explain(const DataSetDescription& set, const DataFile& file,
                                        const std::filesystem::path& directory);
// A set's IDX file of unsigned bytes, which must have the shape of its description.
Tensor load_idx(const DataSetDescription& set, const DataFile& file, const DataOptions& options);
// DataError where the IDX file at `path` declares another shape than the published one has: before
// memory is taken for it.
void require_shape(const DataFile& file, const std::filesystem::path& path, const std::string& set);

}  // namespace likely
