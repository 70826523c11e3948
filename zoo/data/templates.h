// TemplateMixture: binary images that are one of finitely many templates with noise. All about it
// is known.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace likely {

// Template t is chosen with probability odds[t] / Σ odds; then each pixel flips with probability
// `flip`. With h(f) = −f ln f − (1−f) ln(1−f) and d_t the Hamming distance,
//   log p(x) = log Σ_t w_t f^d_t (1−f)^(pixels − d_t).
class TemplateMixture {
 public:
  // pixels: [templates, height, width, channels], 0 or 1.
  TemplateMixture(const Shape& image, std::vector<std::uint8_t> pixels,
                  const std::vector<double>& odds, double flip);

  std::int64_t count() const { return static_cast<std::int64_t>(weights_.size()); }
  const Shape& image() const { return image_; }  // [height, width, channels]
  const std::uint8_t* pixels(std::int64_t t) const { return &pixels_[t * image_.numel()]; }
  double weight(std::int64_t t) const { return weights_[t]; }
  double flip() const { return flip_; }

  // −Σ w ln w + pixels · h(flip), nats: exact where templates never overlap (flip = 0), and too
  // large by what overlap takes away otherwise.
  double entropy() const;
  // images: [n, …] of 0 and 1, f32 or u8. Nats each; −∞ for what cannot occur.
  std::vector<double> log_prob(const Tensor& images) const;
  // p(template | image), f64 [n, templates]. Where flip is 0: its limit for small flips.
  Tensor posterior(const Tensor& images) const;

  struct Nearest {
    std::vector<std::int32_t> index, distance;  // the first template at the least Hamming distance
  };
  Nearest nearest(const Tensor& images) const;  // grey ones too: white from one half on

  // A template by one random word: as likely as it should be, to 2^-32.
  std::int64_t choose(std::uint32_t word) const {
    return std::upper_bound(ends_.begin(), ends_.end(), word) - ends_.begin();
  }

  // What becomes of values that are neither 0 nor 1: Error, or white from one half on.
  enum class Grey { refused, halved };

 private:
  // Calls f(i, words) with the bits of each image.
  template <class F>
  void for_each_image(const Tensor& images, Grey grey, const F& f) const;
  // Calls f(i, distances) with the Hamming distances of each image to all templates.
  template <class F>
  void for_each_distances(const Tensor& images, Grey grey, const F& f) const;
  double exact_log_prob(const std::uint64_t* image) const;  // where flip is 0

  Shape image_;
  std::vector<std::uint8_t> pixels_;
  double flip_;
  std::int64_t words_;                 // 64-bit words an image
  std::vector<std::uint64_t> packed_;  // [templates, words]
  std::vector<std::int32_t> sorted_;   // templates by their words
  std::vector<double> weights_;        // [templates]
  std::vector<std::uint64_t> ends_;  // [templates]: the first word that is no longer the template's
  std::vector<double> powers_;       // (flip / (1 − flip))^d, d = 0 … pixels
};

}  // namespace likely
