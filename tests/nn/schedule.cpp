#include "nn/schedule.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "tensor/error.h"

using namespace likely;

TEST_CASE("schedule: linear and cosine run from 1 to their end and stay there") {
  for (const double end : {0.0, 0.25}) {
    const Schedule linear = linear_decay(end), cosine = cosine_decay(end);
    for (const Schedule& schedule : {linear, cosine}) {
      CHECK(schedule(0, 200) == 1);
      CHECK(schedule(100, 200) == doctest::Approx((1 + end) / 2));
      CHECK(schedule(200, 200) == doctest::Approx(end));
      CHECK(schedule(500, 200) == doctest::Approx(end));
    }
    CHECK(linear(50, 200) == doctest::Approx(1 - 0.25 * (1 - end)));
    CHECK(cosine(50, 200) ==
          doctest::Approx(end + (1 - end) * std::pow(std::cos(std::numbers::pi / 8), 2)));
  }
}

TEST_CASE("schedule: constant, exponential and steps follow their closed forms") {
  CHECK(constant_rate()(123, 200) == 1);
  const Schedule exponential = exponential_decay(0.5, 10);
  CHECK(exponential(0, 0) == 1);
  CHECK(exponential(10, 0) == doctest::Approx(0.5));
  CHECK(exponential(25, 0) == doctest::Approx(std::pow(2, -2.5)));
  const Schedule steps = step_decay(0.1, {0.5, 0.75});
  CHECK(steps(99, 200) == 1);
  CHECK(steps(100, 200) == doctest::Approx(0.1));
  CHECK(steps(149, 200) == doctest::Approx(0.1));
  CHECK(steps(150, 200) == doctest::Approx(0.01));
  CHECK_THROWS_WITH_AS(exponential_decay(0.5, 0),
                       "exponential decay: every 0 updates is no interval. Use 1 or more.", Error);
}

TEST_CASE("schedule: a warm-up rises to 1 and leaves the rest of the run to what follows") {
  const Schedule schedule = warm_up(10, linear_decay());
  CHECK(schedule(0, 110) == doctest::Approx(0.1));
  CHECK(schedule(4, 110) == doctest::Approx(0.5));
  CHECK(schedule(9, 110) == 1);
  CHECK(schedule(10, 110) == 1);
  CHECK(schedule(60, 110) == doctest::Approx(0.5));
  CHECK(schedule(110, 110) == doctest::Approx(0));
}

TEST_CASE("schedule: a run as long as its warm-up, or shorter, learns in every update") {
  for (const std::string name : {"constant", "linear", "cosine"}) {
    CAPTURE(name);
    for (const std::int64_t total : {1, 5, 20}) {
      const Schedule schedule = warm_up(20, schedule_named(name));
      for (std::int64_t update = 0; update < total; ++update)
        CHECK(schedule(update, total) == doctest::Approx((update + 1) / 20.0));
    }
    // Every update of any run has a rate above 0, with a warm-up and without.
    for (const std::int64_t updates : {0, 1, 7, 100})
      for (std::int64_t total = 1; total <= 30; ++total)
        for (std::int64_t update = 0; update < total; ++update)
          CHECK(warm_up(updates, schedule_named(name))(update, total) > 0);
  }
}

TEST_CASE("schedule: names") {
  CHECK(schedule_named("constant")(50, 100) == 1);
  CHECK(schedule_named("linear")(25, 100) == doctest::Approx(0.75));
  CHECK(schedule_named("cosine")(25, 100) == doctest::Approx(0.5 + std::sqrt(0.125)));
  CHECK_THROWS_WITH_AS(schedule_named("cosin"),
                       "schedule: 'cosin' is not one. Use constant, linear or cosine.", UsageError);
}
