#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "tests/zoo/tiny_model.h"
#include "zoo/run/arithmetic_coder.h"

using namespace likely;

namespace {

using Probabilities = std::vector<double>;
using Bytes = std::vector<std::uint8_t>;

// Symbols drawn from distributions that change from one to the next.
struct Message {
  std::vector<Probabilities> probabilities;
  std::vector<std::size_t> symbols;

  void add(const Probabilities& p, std::size_t symbol) {
    probabilities.push_back(p);
    symbols.push_back(symbol);
  }
  Bytes encoded() const {
    ArithmeticEncoder encoder;
    for (std::size_t i = 0; i < symbols.size(); ++i)
      encoder.put(symbols[i], Frequencies(probabilities[i]));
    return encoder.finish();
  }
  std::vector<std::size_t> decoded(const Bytes& bytes) const {
    ArithmeticDecoder decoder(bytes);
    std::vector<std::size_t> result;
    for (const Probabilities& p : probabilities)
      result.push_back(decoder.get(Frequencies(p)));
    decoder.finish();
    return result;
  }
  double information() const {  // bits
    double bits = 0;
    for (std::size_t i = 0; i < symbols.size(); ++i)
      bits -= std::log2(probabilities[i][symbols[i]]);
    return bits;
  }
};

// `count` symbols out of `levels`; the higher the power, the more unequal their probabilities.
Message random_message(std::uint64_t seed, std::size_t count, std::size_t levels, double power) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  Message message;
  for (std::size_t i = 0; i < count; ++i) {
    Probabilities p(levels);
    double sum = 0;
    for (double& value : p)
      sum += value = std::pow(uniform(generator), power);
    for (double& value : p)
      value /= sum;
    std::discrete_distribution<std::size_t> symbol(p.begin(), p.end());
    message.add(p, symbol(generator));
  }
  return message;
}

}  // namespace

TEST_CASE("arithmetic coder: a stream is longer than its information by a byte at most") {
  for (const std::size_t levels : {2, 3, 10, 256})
    for (const double power : {0.0, 1.0, 8.0}) {
      CAPTURE(levels);
      CAPTURE(power);
      const Message message = random_message(7, 20000, levels, power);
      const Bytes bytes = message.encoded();
      const double more = 8 * static_cast<double>(bytes.size()) - message.information();
      CHECK(more > -0.01);
      CHECK(more < 8.01);
      CHECK((message.decoded(bytes) == message.symbols));
    }
}

// By the law of large numbers: h(p) bits a symbol, with a spread of √(p (1 - p)) |log2 (1 - p) /
// p|.
TEST_CASE("arithmetic coder: coins of known entropy cost it") {
  for (const double p : {0.5, 0.11, 0.01}) {
    CAPTURE(p);
    std::mt19937_64 generator(3);
    std::bernoulli_distribution coin(p);
    constexpr int count = 100000;
    Message message;
    for (int i = 0; i < count; ++i)
      message.add({1 - p, p}, coin(generator));
    const double entropy = -p * std::log2(p) - (1 - p) * std::log2(1 - p);
    const double spread = std::sqrt(p * (1 - p) * count) * std::abs(std::log2((1 - p) / p));
    const double bits = 8 * static_cast<double>(message.encoded().size());
    CHECK(std::abs(bits - entropy * count) < 4 * spread + 9);
  }
}

TEST_CASE("arithmetic coder: what is almost certain costs nothing, and its opposite 32 bits") {
  const Probabilities sure{1, 1e-30};
  Message message;
  for (int i = 0; i < 100000; ++i)
    message.add(sure, 0);
  CHECK(message.encoded().size() == 1);
  message.add(sure, 1);
  message.add({0, 1}, 0);  // what was called impossible
  const Bytes bytes = message.encoded();
  CHECK(bytes.size() >= 8);
  CHECK(bytes.size() <= 9);
  CHECK((message.decoded(bytes) == message.symbols));
}

TEST_CASE("arithmetic coder: carries run through bytes that have left") {
  // Just below one half for 30 bytes, which begin 7f ff ff; the end may lie above.
  for (const std::size_t last : {0, 1}) {
    Message message;
    message.add({0.5, 0.5}, 0);
    const double edge = std::pow(2.0, -20);
    for (int i = 0; i < 12; ++i)
      message.add({1 - edge, edge}, 1);
    for (int i = 0; i < 4; ++i)
      message.add({0.5, 0.5}, last);
    CHECK((message.decoded(message.encoded()) == message.symbols));
  }
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const Message message = random_message(seed, 40, 2 + seed % 5, 6);
    CHECK((message.decoded(message.encoded()) == message.symbols));
  }
}

TEST_CASE("arithmetic coder: frequencies add up to 2^32, none is 0, and they keep proportions") {
  const Frequencies f(Probabilities{0, 1e-12, 0.25, 0.75, 0});
  CHECK(f.symbols() == 5);
  std::uint64_t total = 0;
  for (std::size_t s = 0; s < 5; ++s) {
    CHECK(f.begin(s) == total);
    CHECK(f.symbol_at(f.begin(s)) == s);
    CHECK(f.symbol_at(f.begin(s) + f.count(s) - 1) == s);
    total += f.count(s);
  }
  CHECK(total == std::uint64_t{1} << 32);
  CHECK(f.count(0) == 1);
  CHECK(f.count(1) == 1);
  CHECK(std::abs(static_cast<double>(f.count(2)) / std::pow(2.0, 30) - 1) < 1e-8);
}

TEST_CASE("arithmetic coder: a stream that is cut, or longer, gives an error that says so") {
  const Message message = random_message(5, 500, 3, 1);
  const Bytes bytes = message.encoded();
  for (std::size_t kept = 0; kept < bytes.size(); ++kept) {
    CAPTURE(kept);
    const std::string error = message_of<DataError>([&] {
      message.decoded({bytes.begin(), bytes.begin() + static_cast<long>(kept)});
    });
    CHECK(error == fmt::format("arithmetic coder: the stream of {} bytes ends before its last "
                               "symbol. It was cut short.",
                               kept));
  }
  Bytes longer = bytes;
  longer.insert(longer.end(), 3, 0);
  CHECK(message_of<DataError>([&] { message.decoded(longer); }) ==
        fmt::format("arithmetic coder: the stream of {} bytes goes on after its last symbol, by 3 "
                    "bytes. Read as many symbols as were written.",
                    longer.size()));
}

TEST_CASE("arithmetic coder: any bytes are read as symbols or refused") {
  std::mt19937 generator(1);
  const Message message = random_message(5, 200, 3, 1);
  for (int i = 0; i < 200; ++i) {
    Bytes noise(100);
    for (std::uint8_t& byte : noise)
      byte = static_cast<std::uint8_t>(generator());
    try {
      ArithmeticDecoder decoder(noise);
      for (const Probabilities& p : message.probabilities)
        CHECK(decoder.get(Frequencies(p)) < 3);
    } catch (const DataError&) {
    }
  }
  CHECK(message_of<DataError>([&] { message.decoded(Bytes(100, 0xff)); }) ==
        "arithmetic coder: byte 8 of the stream stands for no symbol. It was not written with "
        "these probabilities.");
}

TEST_CASE("arithmetic coder: what is no distribution is refused") {
  for (const Probabilities& p :
       {Probabilities{}, {1}, {0, 0}, {0.5, -0.1}, {0.5, NAN}, {0.5, INFINITY}}) {
    CAPTURE(p.size());
    CHECK(
        message_of<Error>([&] {
          Frequencies f(p);
        }).starts_with(fmt::format("arithmetic coder: {} probabilities with the sum ", p.size())));
  }
}
