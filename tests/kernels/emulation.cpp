// How emulated kernels run, as LIKELY_EMULATE says it.
#include <doctest/doctest.h>

#include "kernels/cuda.h"
#include "tensor/error.h"

using namespace likely;
using namespace likely::kernels;

TEST_CASE("emulation: words choose the order, the copies and the profile; the last one counts") {
  const Emulation usual = emulation_from("");
  CHECK(usual.order == Emulation::Order::forward);
  CHECK(usual.copies == Emulation::Copies::late);
  CHECK(usual.profile == "a100");
  const Emulation other = emulation_from("random=42  early h100 late rtx40");
  CHECK(other.order == Emulation::Order::random);
  CHECK(other.seed == 42);
  CHECK(other.copies == Emulation::Copies::late);
  CHECK(other.profile == "rtx40");
  CHECK(emulation_from("reverse").order == Emulation::Order::reverse);
}

TEST_CASE("emulation: what it does not know it names") {
  CHECK_THROWS_WITH_AS(emulation_from("forward revers"),
                       "LIKELY_EMULATE: unknown word 'revers'. Did you mean 'reverse'? Known are "
                       "a100, early, forward, h100, late, random, reverse, rtx40, random=SEED.",
                       UsageError);
  for (const char* words : {"random=", "random=x", "random=7x", "random=-1"})
    CHECK_THROWS_WITH_AS(emulation_from(words), doctest::Contains("the seed is not a number"),
                         UsageError);
}
