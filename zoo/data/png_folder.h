// A folder of PNG files as a data set.
#pragma once
#include "zoo/data/catalogue.h"

namespace likely {

// A PNG of any kind as u8 [height, width, 3], on white where it is transparent. At most 8192 pixels
// each way and 2^25 in all; DataError names what is wrong with any other file.
Tensor read_png(const std::filesystem::path& file);

// The square in the middle of [height, width, 3], scaled to side x side by area averaging.
Tensor square(const Tensor& image, std::int64_t side);

// `pngs-SIDE`: the PNG files in DIRECTORY/pngs, in the order of a hash of their names. The hash
// alone decides which are for test (a tenth), for validation (another) and for training, so that
// pictures that are added move no other.
DataSetDescription png_folder_description(std::int64_t side);

}  // namespace likely
