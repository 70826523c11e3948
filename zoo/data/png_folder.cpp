// libpng's low-level reader. Its errors arrive by longjmp, so the function that it may
// leave_decoder owns nothing.
#include "zoo/data/png_folder.h"

#include <png.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <csetjmp>
#include <cstring>
#include <limits>
#include <map>

#include "tensor/file.h"
#include "tensor/shown.h"
#include "zoo/data/stored.h"

namespace likely {
namespace {

constexpr std::int64_t most_side = 8192, most_pixels = 1 << 25;
constexpr png_alloc_size_t most_chunk = 1 << 23;  // bytes

struct Decoder {
  std::FILE* file = nullptr;
  std::vector<std::uint8_t> pixels;  // RGB and opacity
  std::vector<png_bytep> rows;
  std::int64_t height = 0, width = 0;
  char reason[200] = "libpng has no memory";
};

[[noreturn]] void leave_decoder(png_structp png, png_const_charp message) {
  auto& decoder = *static_cast<Decoder*>(png_get_error_ptr(png));
  std::strncpy(decoder.reason, message, sizeof decoder.reason - 1);
  png_longjmp(png, 1);
}
void ignore_warning(png_structp, png_const_charp) {}

// Width and height as the header has them, which comes first; 0 where the file is no PNG.
std::pair<std::int64_t, std::int64_t> claimed_size(std::FILE* file) {
  std::uint8_t start[24];
  const bool png = std::fread(start, 1, sizeof start, file) == sizeof start &&
                   png_sig_cmp(start, 0, 8) == 0 && std::memcmp(start + 12, "IHDR", 4) == 0;
  std::rewind(file);
  if (!png)
    return {};
  return {png_get_uint_32(start + 16), png_get_uint_32(start + 20)};
}

// Makes room once the header is known; only here memory grows with what a file says.
void make_room(png_structp png, png_infop info, Decoder& decoder) {
  decoder.height = png_get_image_height(png, info);
  decoder.width = png_get_image_width(png, info);
  if (decoder.height * decoder.width > most_pixels)
    png_error(png, "another size than at its start");
  decoder.pixels.resize(static_cast<std::size_t>(decoder.height * decoder.width * 4));
  for (std::int64_t y = 0; y < decoder.height; ++y)
    decoder.rows.push_back(&decoder.pixels[static_cast<std::size_t>(y * decoder.width * 4)]);
}

bool decode(Decoder& decoder) {
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, leave_decoder, ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  if (!info || setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_init_io(png, decoder.file);
  png_set_user_limits(png, most_side, most_side);
  png_set_chunk_malloc_max(png, most_chunk);
  png_set_chunk_cache_max(png, 100);
  png_read_info(png, info);
  png_set_expand(png);  // palettes, small depths and transparent colours
  png_set_scale_16(png);
  png_set_gray_to_rgb(png);
  png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != 4 * png_get_image_width(png, info))
    png_error(png, "no four bytes a pixel");
  make_room(png, info, decoder);
  png_read_image(png, decoder.rows.data());
  png_read_end(png, nullptr);
  png_destroy_read_struct(&png, &info, nullptr);
  return true;
}

// FNV-1a: an order of names that tells nothing about the pictures.
std::uint64_t hash_of(const std::string& name) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

// Why an entry of the folder is no picture; empty where it begins as a PNG file does.
std::string reason_against(const std::filesystem::directory_entry& entry) {
  std::error_code error;
  const std::string name = entry.path().filename();
  std::string ending = entry.path().extension();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (name.starts_with("."))  // such as the ._x.png that macOS leaves
    return "hidden";
  if (!entry.is_regular_file(error))
    return "no file";
  if (ending != ".png")
    return "not named .png";
  if (entry.file_size(error) == 0)
    return "empty";
  std::uint8_t start[8] = {};
  if (std::FILE* const file = std::fopen(entry.path().c_str(), "rb")) {
    const bool read = std::fread(start, 1, sizeof start, file) == sizeof start;
    std::fclose(file);
    return read && png_sig_cmp(start, 0, sizeof start) == 0 ? "" : "no PNG inside";
  }
  return "";  // read_png says why it cannot be opened
}

// The pictures of a folder in the order of their names' hashes, and what was left out of it.
struct PngFiles {
  std::vector<std::pair<std::uint64_t, std::filesystem::path>> pictures;
  std::string left_out;
};

PngFiles png_files(const std::filesystem::path& folder) {
  PngFiles files;
  std::map<std::string, std::vector<std::string>> others;  // by reason
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename(), reason = reason_against(entry);
    if (reason.empty())
      files.pictures.emplace_back(hash_of(name), entry.path());
    else
      others[reason].push_back(name);
  }
  for (const auto& [reason, names] : others)
    files.left_out += fmt::format("{}{} {} ({})", files.left_out.empty() ? "" : ", ", names.size(),
                                  reason, in_quotes(*std::min_element(names.begin(), names.end())));
  if (!files.left_out.empty())
    files.left_out = fmt::format("data: left out of {}: {}", folder.string(), files.left_out);
  require<DataError>(
      files.pictures.size() >= 10,
      "data: {} holds {} PNG files, and at least 10 are needed: some are for test and for "
      "validation. Put pictures there, or name the folder above it with --data-dir or "
      "LIKELY_DATA.{}{}",
      folder.string(), files.pictures.size(), files.left_out.empty() ? "" : "\n", files.left_out);
  std::sort(files.pictures.begin(), files.pictures.end());
  return files;
}

// A tenth of all hashes is for test, the next for validation: so a name keeps its split, whatever
// is added. Only where no name falls to one of them, the first after it does.
SplitRows tenths(const PngFiles& files) {
  constexpr std::uint64_t tenth = std::numeric_limits<std::uint64_t>::max() / 10;
  const auto count = static_cast<std::int64_t>(files.pictures.size());
  const auto below = [&](std::uint64_t end) -> std::int64_t {
    return std::count_if(files.pictures.begin(), files.pictures.end(),
                         [end](const auto& picture) { return picture.first < end; });
  };
  const std::int64_t test = std::clamp<std::int64_t>(below(tenth), 1, count - 2),
                     validation = std::clamp(below(2 * tenth), test + 1, count - 1);
  SplitRows rows;
  for (std::int64_t row = 0; row < count; ++row)
    rows[row < test ? 2 : row < validation ? 1 : 0].push_back(row);
  return rows;
}

std::unique_ptr<DataSet> make_png_folder(std::int64_t side, const DataOptions& options) {
  refuse_binarisation(fmt::format("pngs-{}", side), options);
  const PngFiles files = png_files(options.directory / "pngs");
  const auto count = static_cast<std::int64_t>(files.pictures.size());
  const Tensor images = Tensor::empty({count, side, side, 3}, DType::u8, options.device);
  if (!images.is_meta())
    for (std::int64_t i = 0; i < count; ++i) {
      const Tensor image =
          square(read_png(files.pictures[static_cast<std::size_t>(i)].second), side);
      std::memcpy(images.data<std::uint8_t>() + i * image.numel(), image.data<std::uint8_t>(),
                  image.bytes());
    }
  return make_stored(fmt::format("pngs, {0} files, middle square by area to {1}x{1}", count, side),
                     {side, side, 3}, divided(images, {}, {}, tenths(files), Binarisation::none),
                     options, 0, files.left_out);
}

// How much each of `from` pixels gives to each of `to`: rows of (first pixel, weights that sum to
// one).
struct Weights {
  std::int64_t first;
  std::vector<double> share;
};
std::vector<Weights> area_weights(std::int64_t begin, std::int64_t from, std::int64_t to) {
  std::vector<Weights> result;
  const double step = static_cast<double>(from) / static_cast<double>(to);
  for (std::int64_t i = 0; i < to; ++i) {
    const double low = static_cast<double>(i) * step, high = low + step;
    const auto first = static_cast<std::int64_t>(low);
    Weights weights{begin + first, {}};
    for (std::int64_t p = first; p < std::min(from, static_cast<std::int64_t>(std::ceil(high)));
         ++p)
      weights.share.push_back(
          (std::min(high, static_cast<double>(p + 1)) - std::max(low, static_cast<double>(p))) /
          step);
    result.push_back(weights);
  }
  return result;
}

}  // namespace

Tensor read_png(const std::filesystem::path& file) {
  Decoder decoder;
  const InputFile opened = open_to_read("png", file);
  decoder.file = opened.get();
  const auto [width, height] = claimed_size(decoder.file);
  const bool small = std::max(width, height) <= most_side && width * height <= most_pixels,
             good = small && decode(decoder);
  require<DataError>(small,
                     "png: {} is {} pixels wide and {} high: at most {} each way and {} in all are "
                     "read. Make it smaller, or take it out of the folder.",
                     file.string(), width, height, most_side, most_pixels);
  require<DataError>(good, "png: {} cannot be read: {}. Take it out of the folder.", file.string(),
                     decoder.reason);
  const Tensor result = Tensor::empty({decoder.height, decoder.width, 3}, DType::u8);
  std::uint8_t* to = result.data<std::uint8_t>();
  for (std::size_t i = 0; i < decoder.pixels.size(); i += 4)
    for (std::size_t channel = 0; channel < 3; ++channel) {  // over white
      const int opacity = decoder.pixels[i + 3], value = decoder.pixels[i + channel];
      *to++ = static_cast<std::uint8_t>((opacity * value + (255 - opacity) * 255 + 127) / 255);
    }
  return result;
}

Tensor square(const Tensor& image, std::int64_t side) {
  const std::int64_t height = image.size(0), width = image.size(1), edge = std::min(height, width);
  const std::vector<Weights> down = area_weights((height - edge) / 2, edge, side),
                             across = area_weights((width - edge) / 2, edge, side);
  const std::uint8_t* const pixels = image.data<std::uint8_t>();
  std::vector<std::uint8_t> result;
  for (const Weights& y : down)
    for (const Weights& x : across)
      for (int channel = 0; channel < 3; ++channel) {
        double sum = 0;
        for (std::size_t i = 0; i < y.share.size(); ++i)
          for (std::size_t j = 0; j < x.share.size(); ++j)
            sum += y.share[i] * x.share[j] *
                   pixels[((y.first + i) * width + x.first + j) * 3 + channel];
        result.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(sum, 0.0, 255.0))));
      }
  return Tensor::of({side, side, 3}, result);
}

DataSetDescription png_folder_description(std::int64_t side) {
  return {fmt::format("pngs-{}", side),
          fmt::format("your own PNG files as images of {0}x{0}x3", side),
          "the folder pngs: 80 % training, 10 % validation, 10 % test by a hash of each name",
          "your own",
          {},
          [side](const DataOptions& options) { return make_png_folder(side, options); },
          true};
}

}  // namespace likely
