#include "zoo/run/image_coder.h"

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"
#include "zoo/run/arithmetic_coder.h"

namespace likely {
namespace {

constexpr std::int64_t advanced_together = 250;  // images that advance element by element

// Leads the model through images of that shape: `code` is told an element by its place among all,
// with its frequencies, and says its level.
void walk(const Autoregressive& model, const Shape& images, const Tensor& labels, int levels,
          Device device, const std::function<std::size_t(std::size_t, const Frequencies&)>& code,
          const ElementsDone& done) {
  const std::int64_t count = images[0], elements = images.numel() / count;
  const auto values = static_cast<std::size_t>(levels);
  for (std::int64_t begin = 0; begin < count; begin += advanced_together) {
    const std::int64_t n = std::min(advanced_together, count - begin);
    const auto prefix =
        model.begin(n, labels.defined() ? labels.slice(0, begin, begin + n) : Tensor());
    for (std::int64_t element = 0; element < elements; ++element) {
      std::vector<double> probabilities = kernels::to_doubles(prefix->log_probabilities());
      for (double& p : probabilities)
        p = std::exp(p);
      std::vector<float> column;
      for (std::int64_t i = 0; i < n; ++i) {
        const Frequencies frequencies(std::span<const double>(probabilities)
                                          .subspan(static_cast<std::size_t>(i) * values, values));
        const auto place = static_cast<std::size_t>((begin + i) * elements + element);
        column.push_back(static_cast<float>(code(place, frequencies)) /
                         static_cast<float>(levels - 1));
      }
      prefix->append(Tensor::of({n}, column, device));
      done(begin * elements + n * (element + 1));
    }
  }
}

}  // namespace

std::vector<std::uint8_t> compress(const Autoregressive& model, const Tensor& images,
                                   const Tensor& labels, int levels, const ElementsDone& done) {
  const std::vector<double> values = kernels::to_doubles(images);
  ArithmeticEncoder encoder;
  walk(
      model, images.shape(), labels, levels, images.device(),
      [&](std::size_t place, const Frequencies& frequencies) {
        const auto level = static_cast<std::size_t>(std::lround(values[place] * (levels - 1)));
        encoder.put(level, frequencies);
        return level;
      },
      done);
  return encoder.finish();
}

Tensor decompress(const Autoregressive& model, std::span<const std::uint8_t> bytes,
                  const Shape& images, const Tensor& labels, int levels, Device device,
                  const ElementsDone& done) {
  ArithmeticDecoder decoder(bytes);
  std::vector<float> values(static_cast<std::size_t>(images.numel()));
  walk(
      model, images, labels, levels, device,
      [&](std::size_t place, const Frequencies& frequencies) {
        const std::size_t level = decoder.get(frequencies);
        values[place] = static_cast<float>(level) / static_cast<float>(levels - 1);
        return level;
      },
      done);
  decoder.finish();
  return Tensor::of(images, values, device);
}

}  // namespace likely
