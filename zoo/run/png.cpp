// libpng's low-level writer. Its errors arrive by longjmp, so the function that it may
// leave_encoder owns nothing.
#include "zoo/run/png.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>

#include "zoo/run/file_system.h"

namespace likely {
namespace {

constexpr std::int64_t largest_side = PNG_USER_HEIGHT_MAX;  // of libpng, as it is built

struct Picture {
  std::int64_t height, width, channels;
  std::vector<std::uint8_t> pixels;
};

// Of images of height × width.
Picture measured(std::int64_t count, std::int64_t height, std::int64_t width, std::int64_t channels,
                 const Grid& grid) {
  const std::int64_t columns = std::min(grid.columns, count);
  const std::int64_t rows = (count + columns - 1) / columns;
  return {rows * (height + grid.padding) + grid.padding,
          columns * (width + grid.padding) + grid.padding,
          channels,
          {}};
}

Picture lay_out(const Tensor& images, const Grid& grid) {
  const std::int64_t n = images.size(0), height = images.size(1), width = images.size(2);
  const std::int64_t channels = images.size(3), columns = std::min(grid.columns, n);
  const std::int64_t step_y = height + grid.padding, step_x = width + grid.padding;
  Picture picture = measured(n, height, width, channels, grid);
  picture.pixels.assign(picture.height * picture.width * channels, grid.colour);
  const std::uint8_t* from = images.data<std::uint8_t>();
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t y = 0; y < height; ++y, from += width * channels) {
      const std::int64_t top = i / columns * step_y + grid.padding + y;
      const std::int64_t left = i % columns * step_x + grid.padding;
      std::copy_n(from, width * channels, &picture.pixels[(top * picture.width + left) * channels]);
    }
  return picture;
}

[[noreturn]] void leave_encoder(png_structp png, png_const_charp) { png_longjmp(png, 1); }

// An exception may not pass through libpng.
void append(png_structp png, png_bytep data, png_size_t bytes) {
  bool good = true;
  try {
    static_cast<std::string*>(png_get_io_ptr(png))
        ->append(reinterpret_cast<const char*>(data), bytes);
  } catch (...) {
    good = false;
  }
  if (!good)
    png_error(png, "no memory");
}

// Filters off and a fixed level: small pictures, and bytes that depend on the pixels alone.
bool encode(const Picture& picture, std::string& file) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, leave_encoder, nullptr);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  if (!info || setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    return false;
  }
  png_set_write_fn(png, &file, append, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(picture.width),
               static_cast<png_uint_32>(picture.height), 8,
               picture.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
  png_set_compression_level(png, 9);
  png_write_info(png, info);
  for (std::int64_t y = 0; y < picture.height; ++y)
    png_write_row(png, &picture.pixels[y * picture.width * picture.channels]);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return true;
}

}  // namespace

void require_fits_png(const char* what, std::int64_t count, const Shape& image, const Grid& grid) {
  const Picture picture = measured(count, image[0], image[1], image[2], grid);
  const std::int64_t rows = (largest_side - grid.padding) / (image[0] + grid.padding);
  require<UsageError>(picture.height <= largest_side,
                      "{}: {} images are a picture of {} x {} pixels, and a PNG has at most {} a "
                      "side. Take at most {}.",
                      what, count, picture.width, picture.height, largest_side,
                      rows * grid.columns);
}

std::string png_of(const Tensor& images, const Grid& grid) {
  require(
      images.rank() == 4 && images.dtype() == DType::u8 && images.contiguous() &&
          images.numel() > 0 && (images.size(3) == 1 || images.size(3) == 3),
      "png: {} of type {} are no images: contiguous u8 [n, height, width, 1 or 3]. Convert them "
      "with to_bytes.",
      images.shape(), images.dtype());
  require(grid.columns > 0 && grid.padding >= 0,
          "png: a grid of {} columns, padding {}. Use at "
          "least one column and no negative padding.",
          grid.columns, grid.padding);
  const Picture picture = lay_out(images, grid);
  std::string file;
  require(encode(picture, file), "png: libpng refuses a picture of {} x {} pixels.", picture.width,
          picture.height);
  return file;
}

void write_png(const std::string& path, const Tensor& images, const Grid& grid) {
  replace_file(real_file_system(), path, png_of(images, grid));
}

Tensor to_bytes(const Tensor& images) {
  require(images.dtype() == DType::f32 && images.contiguous(),
          "png: {} of type {} are not contiguous f32 images. Convert them first.", images.shape(),
          images.dtype());
  Tensor result = Tensor::empty(images.shape(), DType::u8);
  const Tensor here = images.to(Device::cpu);
  const float* const from = here.data<float>();
  std::transform(from, from + images.numel(), result.data<std::uint8_t>(), [](float value) {
    const float inside = value > 0 ? std::min(value, 1.0f) : 0;  // NaN becomes 0
    return static_cast<std::uint8_t>(std::lround(255 * inside));
  });
  return result;
}

}  // namespace likely
