// Grids of images as PNG files.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace likely {

struct Grid {
  std::int64_t columns = 8;
  std::int64_t padding = 2;   // pixels around each image
  std::uint8_t colour = 128;  // of the padding and of places without an image
};

// UsageError, beginning with `what`, where so many images of this shape do not fit into one PNG.
void require_fits_png(const char* what, std::int64_t count, const Shape& image,
                      const Grid& grid = {});

// The file's bytes. images: u8 [n, height, width, channels], grey (1) or RGB (3), row by row. The
// same images give the same bytes.
std::string png_of(const Tensor& images, const Grid& grid = {});

// The file appears whole, by rename, or not at all; SaveError where it cannot be written.
void write_png(const std::string& path, const Tensor& images, const Grid& grid = {});

// Values in [0, 1] as bytes 0 … 255, to the nearest; what lies outside is cut off.
Tensor to_bytes(const Tensor& images);

}  // namespace likely
