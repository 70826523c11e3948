// Distances by counting bits; powers of the flip's odds from a table, so that a sum over templates
// takes no exponential.
#include "zoo/data/templates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/parallel.h"

namespace likely {
namespace {

using Grey = TemplateMixture::Grey;

// Every CPU that runs this library has the instruction; without the attribute each count is a call.
[[gnu::target("popcnt")]] void hamming_distances(const std::uint64_t* image,
                                                 const std::uint64_t* templates, std::int64_t count,
                                                 std::int64_t words, std::uint16_t* distances) {
  for (std::int64_t t = 0; t < count; ++t, templates += words) {
    int distance = 0;
    for (std::int64_t w = 0; w < words; ++w)
      distance += std::popcount(image[w] ^ templates[w]);
    distances[t] = static_cast<std::uint16_t>(distance);
  }
}

template <class T>
void pack(const T* pixels, std::int64_t count, Grey grey, std::uint64_t* words) {
  for (std::int64_t i = 0; i < count; ++i) {
    require(
        grey == Grey::halved || pixels[i] == T{0} || pixels[i] == T{1},
        "templates: pixel {} of an image is {}: only images of 0 and 1 have a probability here. "
        "Sample the pixels, or compare with a half.",
        i, pixels[i]);
    words[i / 64] |= static_cast<std::uint64_t>(pixels[i] >= 0.5f) << (i % 64);
  }
}

}  // namespace

TemplateMixture::TemplateMixture(const Shape& image, std::vector<std::uint8_t> pixels,
                                 const std::vector<double>& odds, double flip)
    : image_(image), pixels_(std::move(pixels)), flip_(flip), words_((image.numel() + 63) / 64) {
  const std::int64_t size = image.numel();
  const auto count = static_cast<std::int64_t>(odds.size());
  require(
      static_cast<std::int64_t>(pixels_.size()) == count * size && flip >= 0 && flip < 0.5,
      "templates: {} pixels do not make {} templates of shape {}, or the flip probability {} is "
      "not in [0, 0.5).",
      pixels_.size(), count, image, flip);
  packed_.assign(count * words_, 0);
  const double total = std::accumulate(odds.begin(), odds.end(), 0.0);
  double sum = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    pack(&pixels_[t * size], size, Grey::refused, &packed_[t * words_]);
    weights_.push_back(odds[t] / total);
    sum += odds[t];
    ends_.push_back(static_cast<std::uint64_t>(std::ceil(sum * 0x1p32 / total)));
  }
  ends_.back() = std::uint64_t{1} << 32;
  sorted_.resize(count);
  std::iota(sorted_.begin(), sorted_.end(), 0);
  std::sort(sorted_.begin(), sorted_.end(), [&](std::int32_t a, std::int32_t b) {
    return std::lexicographical_compare(&packed_[a * words_], &packed_[a * words_] + words_,
                                        &packed_[b * words_], &packed_[b * words_] + words_);
  });
  for (std::int64_t d = 0; d <= size; ++d)
    powers_.push_back(std::pow(flip / (1 - flip), static_cast<double>(d)));
}

double TemplateMixture::entropy() const {
  double nats = 0;
  for (const double w : weights_)
    nats -= w * std::log(w);
  if (flip_ > 0)
    nats -= static_cast<double>(image_.numel()) *
            (flip_ * std::log(flip_) + (1 - flip_) * std::log1p(-flip_));
  return nats;
}

template <class F>
void TemplateMixture::for_each_image(const Tensor& images, Grey grey, const F& f) const {
  const std::int64_t size = image_.numel(), n = images.numel() / size;
  const bool bytes = images.dtype() == DType::u8;
  require(
      images.numel() == n * size && (bytes || images.dtype() == DType::f32) && images.contiguous(),
      "templates: {} of type {} are no contiguous f32 or u8 images of shape {}.", images.shape(),
      images.dtype(), image_);
  const Tensor here = images.to(Device::cpu);
  kernels::parallel_for(n, 64, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint64_t> bits(words_);
    for (std::int64_t i = begin; i < end; ++i) {
      std::fill(bits.begin(), bits.end(), 0);
      if (bytes)
        pack(here.data<std::uint8_t>() + i * size, size, grey, bits.data());
      else
        pack(here.data<float>() + i * size, size, grey, bits.data());
      f(i, bits.data());
    }
  });
}

template <class F>
void TemplateMixture::for_each_distances(const Tensor& images, Grey grey, const F& f) const {
  for_each_image(images, grey, [&](std::int64_t i, const std::uint64_t* bits) {
    std::vector<std::uint16_t> distances(count());
    hamming_distances(bits, packed_.data(), count(), words_, distances.data());
    f(i, distances.data());
  });
}

double TemplateMixture::exact_log_prob(const std::uint64_t* image) const {
  const auto words_of = [&](std::int32_t t) { return &packed_[t * words_]; };
  const auto found =
      std::lower_bound(sorted_.begin(), sorted_.end(), image, [&](std::int32_t t, const auto* key) {
        return std::lexicographical_compare(words_of(t), words_of(t) + words_, key, key + words_);
      });
  const bool occurs = found != sorted_.end() && std::equal(image, image + words_, words_of(*found));
  return occurs ? std::log(weights_[*found]) : -std::numeric_limits<double>::infinity();
}

std::vector<double> TemplateMixture::log_prob(const Tensor& images) const {
  std::vector<double> nats(images.numel() / image_.numel());
  if (flip_ == 0) {
    for_each_image(images, Grey::refused, [&](std::int64_t i, const std::uint64_t* bits) {
      nats[i] = exact_log_prob(bits);
    });
    return nats;
  }
  const double none_flips = static_cast<double>(image_.numel()) * std::log1p(-flip_);
  const double odds = std::log(flip_) - std::log1p(-flip_);
  for_each_distances(images, Grey::refused, [&](std::int64_t i, const std::uint16_t* distances) {
    const int least = *std::min_element(distances, distances + count());
    double sum = 0;
    for (std::int64_t t = 0; t < count(); ++t)
      sum += weights_[t] * powers_[distances[t] - least];
    nats[i] = std::log(sum) + none_flips + least * odds;
  });
  return nats;
}

Tensor TemplateMixture::posterior(const Tensor& images) const {
  Tensor result = Tensor::empty({images.numel() / image_.numel(), count()}, DType::f64);
  double* const rows = result.data<double>();
  for_each_distances(images, Grey::refused, [&](std::int64_t i, const std::uint16_t* distances) {
    double* const row = rows + i * count();
    const int least = *std::min_element(distances, distances + count());
    for (std::int64_t t = 0; t < count(); ++t)
      row[t] = weights_[t] * powers_[distances[t] - least];
    const double sum = std::accumulate(row, row + count(), 0.0);
    for (std::int64_t t = 0; t < count(); ++t)
      row[t] /= sum;
  });
  return result;
}

TemplateMixture::Nearest TemplateMixture::nearest(const Tensor& images) const {
  const std::int64_t n = images.numel() / image_.numel();
  Nearest result{std::vector<std::int32_t>(n), std::vector<std::int32_t>(n)};
  for_each_distances(images, Grey::halved, [&](std::int64_t i, const std::uint16_t* distances) {
    const auto* least = std::min_element(distances, distances + count());
    result.index[i] = static_cast<std::int32_t>(least - distances);
    result.distance[i] = *least;
  });
  return result;
}

}  // namespace likely
