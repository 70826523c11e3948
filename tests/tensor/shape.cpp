#include "tensor/shape.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

using namespace likely;

namespace {

constexpr std::int64_t huge = std::int64_t{1} << 62;

}  // namespace

TEST_CASE("shape: positions count from both ends") {
  Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape[0] == 2);
  CHECK(shape[-1] == 4);
  shape[-2] = 7;
  CHECK(shape == Shape{2, 7, 4});
  CHECK_THROWS_WITH_AS(shape[3], "shape: there is no axis 3 in [2, 7, 4]. Axes run from -3 to 2.",
                       Error);
  CHECK_THROWS_WITH_AS(shape[-4], "shape: there is no axis -4 in [2, 7, 4]. Axes run from -3 to 2.",
                       Error);
}

TEST_CASE("shape: with, without and inserted change one axis") {
  const Shape shape{2, 3, 4};
  CHECK(shape.with(1, 9) == Shape{2, 9, 4});
  CHECK(shape.without(-1) == Shape{2, 3});
  CHECK(shape.inserted(0, 1) == Shape{1, 2, 3, 4});
  CHECK(shape.inserted(3, 1) == Shape{2, 3, 4, 1});
  CHECK(shape.inserted(-1, 1) == Shape{2, 3, 4, 1});
  CHECK(shape.inserted(-2, 1) == Shape{2, 3, 1, 4});
  CHECK_THROWS_WITH_AS(shape.inserted(4, 1), "shape: cannot insert an axis at 4 into [2, 3, 4].",
                       Error);
}

TEST_CASE("shape: eight axes and no more") {
  const Shape shape = Shape::filled(8, 1);
  CHECK(shape.rank() == Shape::max_rank);
  CHECK_THROWS_WITH_AS(
      shape.inserted(0, 5),
      "shape: more than 8 axes: [5, 1, 1, 1, 1, 1, 1, 1] and 1. Join some of them.", Error);
}

TEST_CASE("shape: numel is a product that refuses to overflow") {
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{2, 3, 4}.numel() == 24);
  CHECK(Shape{2, 0, 4}.numel() == 0);
  CHECK(Shape{huge}.numel() == huge);
  CHECK_THROWS_WITH_AS((Shape{2, -1}.numel()), "shape: a negative extent in [2, -1].", Error);
  CHECK_THROWS_WITH_AS((Shape{huge, 2}.numel()),
                       "shape: [4611686018427387904, 2] has more elements than 63 bits can count.",
                       Error);
  // Wraps to 4 in 64 bits.
  CHECK_THROWS_AS((Shape{4194305, 4194305, 211106198978564}.numel()), Error);
  // No elements, but strides that no integer holds.
  CHECK_THROWS_AS((Shape{0, huge, huge}.numel()), Error);
}

TEST_CASE("shape: checked arithmetic gives nothing where the result does not fit") {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  CHECK(checked_product(1u << 31, 2) == std::uint64_t{1} << 32);
  CHECK(!checked_product(most, 2));
  CHECK(checked_sum(most - 1, 1) == most);
  CHECK(!checked_sum(most, 1));
  CHECK(checked_bytes({2, 3}, 4) == 24);
  CHECK(checked_bytes({}, 8) == 8);
  CHECK(checked_bytes({5, 0}, 8) == 0);
  CHECK(checked_bytes({huge}, 1) == huge);
  CHECK(!checked_bytes({huge}, 2));
  CHECK(!checked_bytes({0, huge}, 8));
  CHECK(!checked_bytes({4194305, 4194305, 211106198978564}, 1));
}

TEST_CASE("shape: broadcasting aligns on the right and stretches extents of 1") {
  CHECK(broadcast("add", {3, 1}, {4}) == Shape{3, 4});
  CHECK(broadcast("add", {}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast("add", {5, 1, 2}, {3, 1}) == Shape{5, 3, 2});
  CHECK(broadcast("add", {1, 4}, {0, 1}) == Shape{0, 4});
  CHECK_THROWS_WITH_AS(broadcast("add", {2, 3}, {2}),
                       "add: shapes do not broadcast: [2, 3] and [2]. Counted from the right, "
                       "extents must be equal or 1.",
                       Error);
}

TEST_CASE("shape: row-major strides") {
  CHECK(row_major({2, 3, 4}) == Strides{12, 4, 1});
  CHECK(row_major({}) == Strides{});
  CHECK(row_major({2, 0, 4}) == Strides{4, 4, 1});
}

TEST_CASE("shape: prints as a list") {
  CHECK(fmt::format("{}", Shape{2, 3}) == "[2, 3]");
  CHECK(fmt::format("{}", Shape{}) == "[]");
}
