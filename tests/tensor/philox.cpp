#include "tensor/philox.h"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace likely;

namespace {

void check_block(const PhiloxBlock& got, const PhiloxBlock& wanted) {
  for (int i = 0; i < 4; ++i)
    CHECK(got.word[i] == wanted.word[i]);
}

}  // namespace

TEST_CASE("philox: the known answers of Random123") {
  check_block(philox({{0, 0, 0, 0}}, 0, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  check_block(philox({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff),
              {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check_block(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST_CASE("philox: the 10000th value of the standard's default philox4x32") {
  // Its seed 20111115 is the first word of the key; its counter starts at 0, each block gives four
  // values in order.
  CHECK(philox({{9999 / 4, 0, 0, 0}}, 20111115, 0).word[9999 % 4] == 1955073260);
}

TEST_CASE("philox: uniforms lie inside (0, 1), symmetric about one half") {
  CHECK(uniform_from(0) == 0x1p-24f);
  CHECK(uniform_from(0xffffffff) == 1 - 0x1p-24f);
  for (const std::uint32_t word : {0u, 5u << 9, 0x7fffffffu, 0x12345678u})
    CHECK(uniform_from(word) + uniform_from(~word) == 1.0f);
}
