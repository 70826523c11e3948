#include "kernels/gather.h"

#include <doctest/doctest.h>

#include "kernels/parallel.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

Tensor indices(const std::vector<std::int64_t>& values) {
  return Tensor::of({static_cast<std::int64_t>(values.size())}, values);
}

}  // namespace

TEST_CASE("take: rows in the order of the index, of any type and layout") {
  const Tensor x = Tensor::of({3, 2}, std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  CHECK(take(x, indices({2, 0, 2})).to_vector<std::uint8_t>() ==
        std::vector<std::uint8_t>{5, 6, 1, 2, 5, 6});
  CHECK(take(x.transpose(), indices({1})).to_vector<std::uint8_t>() ==
        std::vector<std::uint8_t>{2, 4, 6});
  CHECK(take(x, indices({})).shape() == Shape{0, 2});
}

TEST_CASE("scatter_add: the sum of the rows that share an index, alike for 1 and 2 threads") {
  const Tensor g = rough({200, 70});
  std::vector<std::int64_t> where;
  for (std::int64_t i = 0; i < 200; ++i)
    where.push_back(i * i % 7);
  std::vector<float> expected(9 * 70);
  const std::vector<float> values = g.to_vector<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    expected[static_cast<std::size_t>(where[i / 70]) * 70 + i % 70] += values[i];
  for (const int count : {1, 2}) {
    set_threads(count);
    CHECK(scatter_add(g, indices(where), 9).to_vector<float>() == expected);
  }
}

TEST_CASE("pick and place: an element of each row, and back") {
  const Tensor x = Tensor::of({2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(pick(x, indices({2, 0})).to_vector<double>() == std::vector<double>{3, 4});
  CHECK(place(Tensor::of({2}, std::vector<double>{7, 8}), indices({2, 0}), 3).to_vector<double>() ==
        std::vector<double>{0, 0, 7, 8, 0, 0});
}

TEST_CASE("gather: an index outside is named, with its place and the range") {
  const Tensor x = rough({3, 4});
  CHECK(message([&] {
          take(x, indices({0, 3}));
        }) == "take: index 1 is 3, outside 0 … 2. Check where it comes from.");
  CHECK(message([&] {
          pick(x, indices({0, -1, 2}));
        }) == "pick: index 1 is -1, outside 0 … 3. Check where it comes from.");
  CHECK(message([&] { pick(x, indices({0})); }) == "pick: 1 indices for 3 rows. Give one a row.");
  CHECK(message([&] { take(x, rough({2})); }) == "take: the index is f32 [2]. It must be i64 [n].");
}
