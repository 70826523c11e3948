#include "tensor/random.h"

#include <doctest/doctest.h>

using namespace likely;

TEST_CASE("step state: comes back from its tensor as it was written") {
  const StepState written{.seed = 0x123456789abcdef0,
                          .update = 7,
                          .rate = 1e-3f,
                          .loss = 91.5f,
                          .gradient_norm = 2.25f,
                          .non_finite = 1};
  Tensor tensor = make_step_state(written);
  CHECK(tensor.dtype() == DType::u8);
  const StepState read = read_step_state(tensor);
  CHECK(read.seed == written.seed);
  CHECK(read.update == written.update);
  CHECK(read.rate == written.rate);
  CHECK(read.loss == written.loss);
  CHECK(read.gradient_norm == written.gradient_norm);
  CHECK(read.non_finite == written.non_finite);

  const std::uint64_t version = tensor.version();
  write_step_state(tensor, {.seed = 5});
  CHECK(read_step_state(tensor).seed == 5);
  CHECK(read_step_state(tensor).update == 0);
  CHECK(tensor.version() == version + 1);
}

TEST_CASE("step state: another tensor is refused") {
  Tensor other = Tensor::of<float>({2}, {1, 2});
  const char* const message = "random: a StepState is a u8 tensor of 32 bytes, not f32 [2].";
  CHECK_THROWS_WITH_AS(read_step_state(other), message, Error);
  CHECK_THROWS_WITH_AS(write_step_state(other, {}), message, Error);
}

TEST_CASE("random: the hash of a purpose is FNV-1a") {
  CHECK(purpose_hash("a") == 0xe40c292c);
  CHECK(purpose_hash("foobar") == 0xbf9cf968);
  CHECK(purpose_hash("foobar") == 0xbf9cf968);
}

TEST_CASE("random: two purposes with one hash throw") {
  CHECK(purpose_hash("train/dropout/block84149") == 204350693);
  CHECK_THROWS_WITH_AS(purpose_hash("train/dropout/block503804"),
                       "random: the purposes 'train/dropout/block84149' and "
                       "'train/dropout/block503804' have one hash, so one stream. Rename one.",
                       Error);
}

TEST_CASE("random: draws of a purpose count from 0 in every update") {
  Random random(make_step_state({.seed = 3}));
  const Draw first = random.draw("train/noise");
  CHECK(first.index == 0);
  CHECK(first.purpose == purpose_hash("train/noise"));
  CHECK(first.state.same_view(random.state()));
  CHECK(random.draw("train/noise").index == 1);
  CHECK(random.draw("train/dropout").index == 0);
  CHECK(random.draw("train/noise").index == 2);
  random.begin_update();
  CHECK(random.draw("train/noise").index == 0);
}
