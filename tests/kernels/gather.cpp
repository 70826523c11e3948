// Gathers and their adjoints, value by value.
#include "kernels/gather.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/graph.h"
#include "kernels/reduce.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

Tensor index_of(const std::vector<std::int64_t>& values) {
  return tensor({static_cast<std::int64_t>(values.size())}, values);
}

}  // namespace

TEST_CASE("take: rows in the order of the index, of any type and layout") {
  const std::vector<float> values{0, 1, 10, 11, 20, 21};
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8}) {
    const Tensor x = cast(tensor({3, 2}, values), dtype);
    CHECK(to_doubles(take(x, index_of({2, 0, 2}))) == std::vector<double>{20, 21, 0, 1, 20, 21});
    CHECK(to_doubles(take(x.transpose(), index_of({1}))) == std::vector<double>{1, 11, 21});
  }
  CHECK(take(filled({3, 2, 5}, 0), index_of({})).shape() == Shape{0, 2, 5});
  CHECK(to_doubles(take(tensor({6}, values), index_of({4, 1, 3}).slice(0, 0, 3, 2))) ==
        std::vector<double>{20, 11});
}

TEST_CASE("scatter_add: is the adjoint of take") {
  const Tensor index = index_of({5, 0, 5, 2, 5, 0});
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = rough({7, 40}, dtype, 2), g = rough({6, 40}, dtype, 3);
    const Tensor taken = take(x, index), scattered = scatter_add(g, index, 7);
    CHECK(scattered.shape() == Shape{7, 40});
    const auto a = to_doubles(taken), b = to_doubles(g), c = to_doubles(x),
               d = to_doubles(scattered);
    double left = 0, right = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      left += a[i] * b[i];
    for (std::size_t i = 0; i < c.size(); ++i)
      right += c[i] * d[i];
    CHECK(left == doctest::Approx(right).epsilon(1e-5));
  }
}

TEST_CASE("scatter_add: adds in ascending order, on any number of threads") {
  const std::int64_t count = 3000;
  std::vector<std::int64_t> at;
  for (std::int64_t i = 0; i < count; ++i)
    at.push_back(i * i % 7);
  const Tensor g = rough({count, 50});
  std::vector<float> expected(7 * 50);
  const auto values = g.to_vector<float>();
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t c = 0; c < 50; ++c)
      expected[at[i] * 50 + c] += values[i * 50 + c];
  const auto scattered = [&] { return scatter_add(g, index_of(at), 7).to_vector<float>(); };
  CHECK(on_threads(1, scattered) == expected);
  CHECK(on_threads(2, scattered) == expected);
  const Tensor ones = filled({1000}, 1, DType::bf16);  // one by one they would stop at 256
  CHECK(to_doubles(scatter_add(ones, filled({1000}, 0, DType::i64), 2)) ==
        std::vector<double>{1000, 0});
}

TEST_CASE("pick and place: one element a row, and its adjoint") {
  const Tensor x = tensor({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(to_doubles(pick(x, index_of({2, 0}))) == std::vector<double>{3, 4});
  CHECK(to_doubles(pick(x.transpose(), index_of({1, 0, 1}))) == std::vector<double>{4, 2, 6});
  CHECK(to_doubles(place(tensor({2}, std::vector<float>{7, 8}), index_of({2, 0}), 3)) ==
        std::vector<double>{0, 0, 7, 8, 0, 0});
  CHECK(place(filled({0}, 0), index_of({}), 3).shape() == Shape{0, 3});
}

TEST_CASE("gather: on meta there is a shape") {
  const Tensor x = Tensor::empty({5, 3}, DType::f32, Device::meta);
  const Tensor index = Tensor::empty({5}, DType::i64, Device::meta);
  CHECK(take(x, index).shape() == Shape{5, 3});
  CHECK(scatter_add(x, index, 9).shape() == Shape{9, 3});
  CHECK(pick(x, index).shape() == Shape{5});
  CHECK(place(pick(x, index), index, 4).shape() == Shape{5, 4});
}

TEST_CASE("gather: where something looks at the results later, a GPU's index is not waited for") {
  const Tensor x = filled({3, 2}, 0), index = index_of({0, 3});
  const auto reads = [&] {
    const std::uint64_t before = traffic().reads;
    const Tensor taken = take(x, index);
    const std::uint64_t after = traffic().reads;
    if (on_cuda())
      CHECK(std::isnan(to_doubles(taken)[2]));
    return after - before;
  };
  {
    const LateIndexChecks late;
    if (on_cuda())
      CHECK(reads() == 0);
    else
      CHECK(message(reads).starts_with("take: an index is out of range: index[1] is 3"));
  }
  CHECK(message(reads).starts_with("take: an index is out of range: index[1] is 3"));
}

TEST_CASE("gather: an index out of range is named, and other errors") {
  const Tensor x = filled({3, 2}, 0);
  CHECK(message([&] {
          take(x, index_of({0, 3}));
        }) ==
        "take: an index is out of range: index[1] is 3, rows are [0, 3). Check where the indices "
        "come from.");
  CHECK(message([&] {
          scatter_add(x, index_of({0, -1, 0}), 5);
        }) ==
        "scatter_add: an index is out of range: index[1] is -1, rows are [0, 5). Check where the "
        "indices come from.");
  CHECK(message([&] {
          pick(x, index_of({0, 1, 2}));
        }) ==
        "pick: an index is out of range: index[2] is 2, classes are [0, 2). Check where the "
        "indices come from.");
  CHECK(message([&] { place(filled({1}, 0), index_of({9}), 9); }) ==
        "place: an index is out of range: index[0] is 9, classes are [0, 9). Check where the "
        "indices come from.");
  CHECK(message([&] {
          pick(x, index_of({0, 1}));
        }) == "pick: 2 indices for [3, 2]. Give one for each row.");
  CHECK(message([&] {
          pick(filled({3}, 0), index_of({0, 1, 0}));
        }) == "pick: [3] has 1 axes. Give 2.");
  CHECK(message([&] { take(scalar(1.f), index_of({0})); }) ==
        "take: [] has 0 axes. Give at least one.");
  CHECK(message([&] { take(x, filled({2}, 0)); }) ==
        "take: the index is [2] f32. Give i64 of one axis.");
  CHECK(message([&] {
          scatter_add(filled({2}, 0, DType::i32), index_of({0, 0}), 1);
        }) == "scatter_add: i32 does not add here: only floating-point types do.");
}
