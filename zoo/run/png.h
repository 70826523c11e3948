// Grids of images as PNG files.
#pragma once
#include <filesystem>

#include "tensor/tensor.h"

namespace likely {

struct Grid {
  std::int64_t columns = 8;
  std::int64_t padding = 2;   // pixels around each image
  std::uint8_t colour = 128;  // of the padding and of places without an image
};

// images: u8 [n, height, width, channels], grey (1) or RGB (3), row by row. The same images give
// the same bytes. The file appears whole, by rename, or not at all.
void write_png(const std::filesystem::path& path, const Tensor& images, const Grid& grid = {});

// Values in [0, 1] as bytes 0 … 255, to the nearest; what lies outside is cut off.
Tensor to_bytes(const Tensor& images);

}  // namespace likely
