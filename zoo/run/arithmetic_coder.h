// An arithmetic coder: symbols of given probabilities become a stream of bytes, and come back.
//
// Witten, Neal & Cleary (1987), Arithmetic Coding for Data Compression, in the form of a range
// coder (Martin 1979): an interval of 64 bits, of which whole bytes leave, with carries.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace likely {

// Integer frequencies that add up to 2^32, none of them 0: so every symbol can be coded, one of
// probability 0 in 32 bits. Decided by the probabilities' bits alone.
class Frequencies {
 public:
  static constexpr int bits = 32;
  // At least two, finite, none negative; they need not add up to 1.
  explicit Frequencies(std::span<const double> probabilities);

  std::size_t symbols() const { return begin_.size() - 1; }
  std::uint64_t begin(std::size_t symbol) const { return begin_[symbol]; }
  std::uint64_t count(std::size_t symbol) const { return begin_[symbol + 1] - begin_[symbol]; }
  std::size_t symbol_at(std::uint64_t place) const;  // place < 2^32

 private:
  std::vector<std::uint64_t> begin_;  // of each symbol, and 2^32
};

class ArithmeticEncoder {
 public:
  void put(std::size_t symbol, const Frequencies& frequencies);
  // The stream, longer than Σ -log2 of the symbols' shares by one byte and 1e-7 bits a symbol at
  // most. Nothing can be put any more.
  std::vector<std::uint8_t> finish();

 private:
  void add(std::uint64_t distance);  // to low_, and carries into the bytes that have left

  std::uint64_t low_ = 0, range_ = ~std::uint64_t{0};
  std::vector<std::uint8_t> bytes_;
};

// Reads what an encoder wrote, given the same frequencies in the same order. DataError where the
// stream is too short or too long for the symbols asked.
class ArithmeticDecoder {
 public:
  explicit ArithmeticDecoder(std::span<const std::uint8_t> bytes);  // they outlive the decoder
  std::size_t get(const Frequencies& frequencies);
  void finish() const;  // all symbols are read

 private:
  void shift_in();

  std::span<const std::uint8_t> bytes_;
  std::size_t read_ = 0;                                  // bytes, with those past the end
  std::uint64_t offset_ = 0, range_ = ~std::uint64_t{0};  // of the stream's number above `low`
};

}  // namespace likely
