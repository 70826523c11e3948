#include "tensor/dtype.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

using namespace likely;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

float rounded(float value) { return static_cast<float>(bf16(value)); }

}  // namespace

TEST_CASE("bf16: rounds to the nearest, ties to even") {
  CHECK(bf16(1.0f).bits == 0x3f80);
  CHECK(bf16(-2.0f).bits == 0xc000);
  // Between 1 and its upper neighbour 1 + 2^-7: the middle goes to the even 1, what is above goes
  // up.
  CHECK(rounded(1 + 0x1p-8f) == 1.0f);
  CHECK(rounded(1 + 0x1p-8f + 0x1p-20f) == 1 + 0x1p-7f);
  CHECK(rounded(1 + 0x1p-8f - 0x1p-20f) == 1.0f);
  // Between 1 + 2^-7 (odd) and 1 + 2^-6: the middle goes up.
  CHECK(rounded(1 + 0x1p-7f + 0x1p-8f) == 1 + 0x1p-6f);
  CHECK(rounded(-1 - 0x1p-7f - 0x1p-8f) == -1 - 0x1p-6f);
}

TEST_CASE("bf16: every value comes back from its f32, and no f32 has a nearer one") {
  const auto value = [](std::uint32_t bits) { return std::bit_cast<float>(bits << 16); };
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x7f7f; ++bits) {
    wrong += bf16(value(bits)).bits != bits;
    wrong += bf16(-value(bits)).bits != (bits | 0x8000);
    const auto middle = static_cast<float>((double{value(bits)} + value(bits + 1)) / 2);
    wrong += bf16(std::nextafter(middle, 0.0f)).bits != bits;
    wrong += bf16(middle).bits != bits + bits % 2;
    wrong += bf16(std::nextafter(middle, infinity)).bits != bits + 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("bf16: the special values stay what they are") {
  CHECK(rounded(infinity) == infinity);
  CHECK(rounded(-infinity) == -infinity);
  CHECK(rounded(std::numeric_limits<float>::max()) == infinity);
  CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
  // A NaN whose payload lies in the lower half only must not become infinite.
  CHECK(std::isnan(rounded(std::bit_cast<float>(0x7f800001u))));
  CHECK(std::isnan(rounded(std::bit_cast<float>(0x7fffffffu))));
  CHECK(std::signbit(rounded(-0.0f)));
}

TEST_CASE("dtype: sizes, names and types agree") {
  const DType all[] = {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8};
  const std::size_t sizes[] = {4, 8, 2, 8, 4, 1};
  const char* const names[] = {"f32", "f64", "bf16", "i64", "i32", "u8"};
  for (int i = 0; i < 6; ++i) {
    CHECK(size_of(all[i]) == sizes[i]);
    CHECK(fmt::format("{}", all[i]) == names[i]);
    CHECK(is_floating(all[i]) == (i < 3));
    with_type(all[i], [&]<class T>(Type<T>) { CHECK(dtype_of<T> == all[i]); });
  }
  CHECK_THROWS_WITH_AS(size_of(static_cast<DType>(9)), "dtype: 9 is none of the six element types.",
                       Error);
}
