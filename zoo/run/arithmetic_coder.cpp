#include "zoo/run/arithmetic_coder.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"

namespace likely {
namespace {

// A range never falls below this, so that 2^32 shares of it are cut with a loss of 2^-24 at most.
constexpr std::uint64_t least_range = std::uint64_t{1} << 56;
// The last byte of a stream names a multiple of least_range; the seven below it are 0 and implied.
constexpr std::size_t implied = 7;

}  // namespace

Frequencies::Frequencies(std::span<const double> probabilities) : begin_{0} {
  const std::size_t symbols = probabilities.size();
  double sum = 0;
  for (const double p : probabilities)
    sum += p >= 0 ? p : NAN;
  require(symbols >= 2 && sum > 0 && std::isfinite(sum),
          "arithmetic coder: {} probabilities with the sum {}. It needs two or more, finite and "
          "none of them negative.",
          symbols, sum);
  const std::uint64_t total = std::uint64_t{1} << bits;
  const auto shared = static_cast<double>(total - symbols);  // beside one for every symbol
  std::uint64_t left = total;
  std::vector<std::uint64_t> counts;
  for (const double p : probabilities) {
    counts.push_back(1 + static_cast<std::uint64_t>(p / sum * shared));
    left -= counts.back();
  }
  // What rounding has left goes to the likeliest, which it changes least.
  *std::max_element(counts.begin(), counts.end()) += left;
  for (const std::uint64_t count : counts)
    begin_.push_back(begin_.back() + count);
}

std::size_t Frequencies::symbol_at(std::uint64_t place) const {
  return static_cast<std::size_t>(std::upper_bound(begin_.begin(), begin_.end(), place) -
                                  begin_.begin()) -
         1;
}

void ArithmeticEncoder::add(std::uint64_t distance) {
  low_ += distance;
  if (low_ < distance)
    for (std::size_t i = bytes_.size(); ++bytes_[--i] == 0;) {
    }
}

void ArithmeticEncoder::put(std::size_t symbol, const Frequencies& frequencies) {
  const std::uint64_t share = range_ >> Frequencies::bits;
  add(share * frequencies.begin(symbol));
  range_ = share * frequencies.count(symbol);
  while (range_ < least_range) {
    bytes_.push_back(static_cast<std::uint8_t>(low_ >> 56));
    low_ <<= 8, range_ <<= 8;
  }
}

std::vector<std::uint8_t> ArithmeticEncoder::finish() {
  add(-low_ % least_range);  // up to a multiple of least_range, of which the interval holds one
  bytes_.push_back(static_cast<std::uint8_t>(low_ >> 56));
  return std::move(bytes_);
}

ArithmeticDecoder::ArithmeticDecoder(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
  for (int i = 0; i < 8; ++i)
    shift_in();
}

void ArithmeticDecoder::shift_in() {
  require<DataError>(read_ < bytes_.size() + implied,
                     "arithmetic coder: the stream of {} bytes ends before its last symbol. It was "
                     "cut short.",
                     bytes_.size());
  offset_ = offset_ << 8 | (read_ < bytes_.size() ? bytes_[read_] : 0);
  ++read_;
}

std::size_t ArithmeticDecoder::get(const Frequencies& frequencies) {
  const std::uint64_t share = range_ >> Frequencies::bits;
  const std::uint64_t place = offset_ / share;
  require<DataError>(place >> Frequencies::bits == 0,
                     "arithmetic coder: byte {} of the stream stands for no symbol. It was not "
                     "written with these probabilities.",
                     std::min(read_, bytes_.size()));
  const std::size_t symbol = frequencies.symbol_at(place);
  offset_ -= share * frequencies.begin(symbol);
  range_ = share * frequencies.count(symbol);
  while (range_ < least_range) {
    shift_in();
    range_ <<= 8;
  }
  return symbol;
}

void ArithmeticDecoder::finish() const {
  require<DataError>(read_ == bytes_.size() + implied,
                     "arithmetic coder: the stream of {} bytes goes on after its last symbol, by "
                     "{} bytes. Read as many symbols as were written.",
                     bytes_.size(), bytes_.size() + implied - read_);
}

}  // namespace likely
