#include "tensor/nearest.h"

#include <doctest/doctest.h>

using namespace likely;

TEST_CASE("nearest: the word with the fewest letters inserted, deleted or replaced") {
  CHECK(nearest("wieght", {"bias", "weight", "height"}) == "weight");
  CHECK(nearest("--step", {"--seed", "--steps"}) == "--steps");
  CHECK(nearest("a", {"b", "c"}) == "b");
  CHECK(nearest("", {"long", "no"}) == "no");
  CHECK(nearest("x", {}) == "");
}

TEST_CASE("nearest: a word of any length is compared by its first letters") {
  CHECK(nearest("softmax" + std::string(1'000'000, 'x'), {"matmul", "softmax"}) == "softmax");
  CHECK(nearest(std::string(1'000'000, 'x'), {std::string(1'000'000, 'y'), "x"}) == "x");
}
