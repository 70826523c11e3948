#include "autograd/check.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "autograd/ops.h"
#include "kernels/copy.h"
#include "kernels/parallel.h"
#include "tests/device.h"

using namespace likely;

namespace {

Tensor three() { return Tensor::of({3}, std::vector<double>{0.3, -0.8, 1.1}); }

// x², its vjp off by `error` at first order, or right while the vjp of the vjp is off.
const Op first_wrong_op{"test first wrong",
                        Case{"unused", [](Samples& s) { return s.normal({2}); }}};
Variable first_wrong(const Variable& x, double factor) {
  return first_wrong_op.record(
      square(x).value(), {x},
      [x = x.saved(), factor](const Variable& g, const Wants&) -> Variables {
        return {g * x.get() * (2 * factor)};
      });
}
Variable twice(const Variable& g, const Variable& x) {  // 2 g x with a wrong slope in x
  return first_wrong_op.record(
      (g * x * 2.0).value(), {g, x},
      [g = g.saved(), x = x.saved()](const Variable& h, const Wants&) -> Variables {
        return {h * x.get() * 2.0, h * g.get() * 2.002};
      });
}
Variable second_wrong(const Variable& x) {
  return first_wrong_op.record(square(x).value(), {x},
                               [x = x.saved()](const Variable& g, const Wants&) -> Variables {
                                 return {twice(g, x.get())};
                               });
}

}  // namespace

TEST_CASE("gradients: every case of every op, both orders") {
  std::size_t differentiable = 0;
  for (const Op* op : all_ops()) {
    if (std::string(op->name()).starts_with("test "))
      continue;
    differentiable += op->differentiable();
    for (const Finding& finding : check_gradients(*op, device_under_test())) {
      INFO("gradients/" << finding.op << "/" << finding.case_name << "/"
                        << std::string(name_of(finding.variant)) << "/order " << finding.order
                        << ": " << finding.error << " " << finding.note);
      CHECK(finding.passed());
    }
  }
  CHECK(differentiable >= 40);
}

TEST_CASE("checker: a vjp that is 0.1 % off is caught at first order" * cpu_only) {
  const auto error = [](double factor) {
    return compare_first(
               {{three()}, [factor](const Variables& x) { return first_wrong(x[0], factor); }}, 1,
               5)
        .error;
  };
  CHECK(error(1) < 1e-7);
  CHECK(error(1.001) > 1e-5);
}

TEST_CASE("checker: a vjp whose own vjp is off passes the first order and is caught at the second" *
          cpu_only) {
  const Subject subject{{three()}, [](const Variables& x) { return second_wrong(x[0]); }};
  CHECK(compare_first(subject, 1, 5).error < 1e-7);
  CHECK(compare_second(subject, 1, 5).error > 1e-5);
  CHECK(compare_second({{three()}, [](const Variables& x) { return square(x[0]); }}, 1, 5).error <
        1e-6);
}

TEST_CASE("checker: a random cotangent sees what a sum would not" * cpu_only) {
  // Rows of a softmax sum to one, so a vjp of zero passes a summed check.
  static const Op op{"test flat softmax", Case{"unused", [](Samples& s) { return s.normal({2}); }}};
  const auto flat = [](const Variables& x) {
    return op.record(softmax(x[0], 0).value(), {x[0]},
                     [](const Variable& g, const Wants&) -> Variables { return {g * 0.0}; });
  };
  CHECK(compare_first({{three()}, flat}, 1, 5).error > 0.1);
}

TEST_CASE("checker: the step shrinks until no activation changes side" * cpu_only) {
  const Tensor x = Tensor::of({2}, std::vector<double>{1e-6, -2e-6});
  const Comparison found =
      compare_first({{x}, [](const Variables& v) { return square(relu(v[0])); }}, 1, 3);
  CHECK(found.step < 1e-5);
  const Tensor on = Tensor::of({1}, std::vector<double>{0});
  CHECK_THROWS_AS(compare_first({{on}, [](const Variables& v) { return relu(v[0]); }}, 1, 3),
                  Error);
}

TEST_CASE(
    "ops: f32 agrees with f64 on the CPU, on 1 and 2 threads alike, and meta has the same shape") {
  for (const Op* op : all_ops()) {
    if (std::string(op->name()).starts_with("test "))
      continue;
    for (const Case& example : op->cases()) {
      INFO(std::string(op->name()) << "/" << example.name);
      const auto run = [&](DType dtype, Device device) {
        Samples samples(3, dtype, device);
        return example.run(samples).value();
      };
      const Tensor reference = run(DType::f64, Device::cpu);
      kernels::set_threads(1);
      const Tensor one = run(DType::f32, device_under_test());
      kernels::set_threads(2);
      const Tensor two = run(DType::f32, device_under_test());
      CHECK(run(DType::f32, Device::meta).shape() == reference.shape());
      if (!is_floating(one.dtype()))
        continue;
      const std::vector<double> a = kernels::to_doubles(reference), b = kernels::to_doubles(one);
      CHECK(b == kernels::to_doubles(two));
      for (std::size_t i = 0; i < a.size(); ++i)
        CHECK(b[i] == doctest::Approx(a[i]).epsilon(2e-6));
    }
  }
}

TEST_CASE("checker: a tally says how many passed and failed, and the worst error of each order" *
          cpu_only) {
  CheckTally tally;
  CHECK(tally.line() == "0 checks passed, 0 failed");
  tally.add(1, 3.14e-9, true);
  tally.add(1, 2e-10, true);
  CHECK(tally.line() == "2 checks passed, 0 failed; worst error 3.1e-09 (first order)");
  tally.add(2, 8.8e-8, true);
  tally.add(2, 8.8e-9, true);
  CHECK(tally.line() ==
        "4 checks passed, 0 failed; worst error 3.1e-09 (first order), 8.8e-08 (second order)");
  CHECK(tally.failed() == 0);
  tally.add(2, std::nan(""), false);
  tally.add(2, 1e-9, true);
  CHECK(tally.failed() == 1);
  CHECK(tally.line() ==
        "5 checks passed, 1 failed; worst error 3.1e-09 (first order), nan (second order)");
}
