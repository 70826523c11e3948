// The plain PixelCNN: beside PyTorch's masked kernels, by enumeration, and what it cannot see.
#include "tests/zoo/pixels.h"
#include "zoo/models/plain-pixelcnn.h"

using namespace likely;

TEST_CASE("plain-pixelcnn: probabilities, loss and gradients agree with PyTorch's masked kernels") {
  check_golden(*make_plain_pixelcnn({6, 5, 1}, 2, {.width = 4, .blocks = 2}),
               "plain-pixelcnn.safetensors");
}

TEST_CASE("plain-pixelcnn: the probabilities of all images add up to 1") {
  const auto binary = in_f64(make_plain_pixelcnn({3, 4, 1}, 2, {.width = 5, .blocks = 2}));
  CHECK(std::abs(total_probability(*binary, {3, 4, 1}, 2) - 1) < 1e-12);
  const auto levels =
      in_f64(make_plain_pixelcnn({2, 2, 2}, 3, {.width = 5, .blocks = 2, .head = {"softmax"}}));
  CHECK(std::abs(total_probability(*levels, {2, 2, 2}, 3) - 1) < 1e-12);
}

// One row up, the first kernel sees three pixels to the right; each of two blocks takes it one row
// further up and one pixel further to the right. So of what lies d rows up it sees d + 2 pixels to
// the right, though its kernels reach five.
TEST_CASE("plain-pixelcnn: its blind spot is what lies more than d + 2 to the right, d rows up") {
  const Shape image{7, 13, 1};
  const auto model = in_f64(make_plain_pixelcnn(image, 2, {.width = 16, .blocks = 2}));
  CHECK(model->has_blind_spot());
  CHECK(model->reach() == 5);
  const std::int64_t row = 6, column = 6;
  std::set<std::int64_t> expected, blind;
  for (std::int64_t up = 0; up <= 5; ++up)
    for (std::int64_t right = -5; right <= (up > 0 ? 5 : -1); ++right)
      (right <= up + 2 ? expected : blind).insert((row - up) * 13 + column + right);
  CHECK(seen_by(*model, image, 2, row * 13 + column) == expected);
  CHECK(blind == std::set<std::int64_t>{5 * 13 + 10, 5 * 13 + 11, 4 * 13 + 11});
}

TEST_CASE(
    "plain-pixelcnn: element by element, probabilities are those of a pass over whole images") {
  for (const auto& [head, image, levels] :
       {std::tuple("binary", Shape{6, 5, 1}, std::int64_t{2}),
        std::tuple("softmax", Shape{4, 3, 3}, std::int64_t{6})}) {
    const auto model =
        make_plain_pixelcnn(image, levels, {.width = 6, .blocks = 2, .head = {head}});
    module_of(*model).initialise(3);
    check_prefix(*model, image, levels);
  }
}
