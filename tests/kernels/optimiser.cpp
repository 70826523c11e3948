// The optimisers' passes against the papers' formulas, element by element in f64.
#include "kernels/optimiser.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/optimiser.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

using Values = std::vector<double>;

FlatState fresh(std::int64_t size, DType dtype) {
  FlatState state;
  state.values = rough({size}, dtype, 7);
  state.gradients = filled({size}, 0, dtype);
  state.first = filled({size}, 0, dtype);
  state.second = filled({size}, 0, dtype);
  state.count = filled({1}, 0, DType::i64);
  return state;
}

// The same update in plain double arithmetic.
struct Reference {
  Values x, g, first, second, average;
  std::int64_t count = 0;

  explicit Reference(const FlatState& state)
      : x(to_doubles(state.values)), first(x.size()), second(x.size()) {}

  // Clips, counts, and calls move(i, g) -> step for every element of the segments.
  template <class F>
  void update(const FlatState& state, double rate, double clip, F move) {
    g = to_doubles(state.gradients);
    const double norm = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
    ++count;
    for (const Segment& segment : state.segments)
      for (auto i = static_cast<std::size_t>(segment.begin);
           i < static_cast<std::size_t>(segment.end); ++i)
        if (segment.rate != 0) {
          const double step = move(i, clip > 0 && norm > clip ? g[i] * clip / norm : g[i]);
          x[i] -= rate * segment.rate * (step + segment.weight_decay * x[i]);
        }
    const double decay = std::min<double>(state.average_decay, (1.0 + count) / (10.0 + count));
    for (std::size_t i = 0; i < average.size(); ++i)
      average[i] = decay * average[i] + (1 - decay) * x[i];
  }
};

// Twenty updates with rough gradients, growing rates, clipping in some, segments, and an average.
template <class Run, class Move>
void follow_twenty(DType dtype, Run run, Move move) {
  const std::int64_t size = 40003;
  FlatState state = fresh(size, dtype);
  state.segments = {
      {0, 16, 2, 0.5f}, {16, 30000, 1, 0}, {30000, 30016, 0, 0.5f}, {30016, size, 0.5f, 0.1f}};
  state.average = Tensor::empty_like(state.values);
  copy_into(state.average, state.values);
  state.average_decay = 0.4f;
  Reference reference(state);
  reference.average = reference.x;
  for (std::uint32_t t = 1; t <= 20; ++t) {
    copy_into(state.gradients, rough({size}, dtype, 100 + t));
    const Tensor step = step_state({.rate = 0.001f * static_cast<float>(t)});
    const Clip clip{t % 3 == 0 ? 10.0f : t % 3 == 1 ? 1e6f : 0.0f};
    guard(state.gradients, filled({}, 1, dtype), step);
    run(clip, state, step);
    reference.update(state, read_step_state(step).rate, clip.norm,
                     [&](std::size_t i, double g) { return move(reference, i, g); });
  }
  const double bar = dtype == DType::f32 ? 3e-6 : 1e-7;  // the norm is kept in f32
  CHECK(state.count.item<std::int64_t>() == 20);
  CHECK(largest_error(to_doubles(state.values), reference.x) < bar);
  CHECK(largest_error(to_doubles(state.average), reference.average) < bar);
  CHECK(to_doubles(state.values)[30005] == to_doubles(rough({size}, dtype, 7))[30005]);
  CHECK(to_doubles(state.second)[30005] == 0);
}

}  // namespace

TEST_CASE("adam: twenty updates agree with algorithm 1, decoupled decay, clipping and average") {
  const Adam how{0.8f, 0.99f, 1e-5f};
  const double b1 = how.beta1, b2 = how.beta2;
  for (const DType dtype : {DType::f32, DType::f64})
    follow_twenty(
        dtype,
        [&](const Clip& clip, const FlatState& state, const Tensor& step) {
          adam(how, clip, state, step);
        },
        [&](Reference& r, std::size_t i, double g) {
          r.first[i] = b1 * r.first[i] + (1 - b1) * g;
          r.second[i] = b2 * r.second[i] + (1 - b2) * g * g;
          const auto t = static_cast<double>(r.count);
          return r.first[i] / (1 - std::pow(b1, t)) /
                 (std::sqrt(r.second[i] / (1 - std::pow(b2, t))) + how.epsilon);
        });
}

TEST_CASE("rms_prop: twenty updates agree with the formula") {
  const RmsProp how{0.9f, 1e-4f};
  const double decay = how.decay;
  for (const DType dtype : {DType::f32, DType::f64})
    follow_twenty(
        dtype,
        [&](const Clip& clip, const FlatState& state, const Tensor& step) {
          rms_prop(how, clip, state, step);
        },
        [&](Reference& r, std::size_t i, double g) {
          r.second[i] = decay * r.second[i] + (1 - decay) * g * g;
          return g / (std::sqrt(r.second[i]) + how.epsilon);
        });
}

TEST_CASE("sgd: twenty updates agree with the formula, with momentum or without") {
  for (const Sgd& how : {Sgd{}, Sgd{0.9f}})
    for (const DType dtype : {DType::f32, DType::f64})
      follow_twenty(
          dtype,
          [&](const Clip& clip, const FlatState& state, const Tensor& step) {
            sgd(how, clip, state, step);
          },
          [&](Reference& r, std::size_t i, double g) {
            return r.first[i] = how.momentum * r.first[i] + g;
          });
}

TEST_CASE("adam: the first step is the rate in the gradient's direction") {
  FlatState state = fresh(3, DType::f32);
  copy_into(state.values, filled({3}, 0));
  copy_into(state.gradients, tensor({3}, std::vector<float>{1e-3f, -5, 0}));
  adam({}, {}, state, step_state({.rate = 0.1f}));
  const Values x = to_doubles(state.values);
  CHECK(x[0] == doctest::Approx(-0.1).epsilon(1e-4));
  CHECK(x[1] == doctest::Approx(0.1).epsilon(1e-6));
  CHECK(x[2] == 0);
}

TEST_CASE("guard: writes loss and norm, and raises the flag for anything not finite") {
  const std::int64_t size = 100003;
  for (const DType dtype : {DType::f32, DType::f64}) {
    Tensor gradient = rough({size}, dtype);
    const Values g = to_doubles(gradient);
    const double norm = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
    const Tensor step = step_state({.seed = 5, .update = 6, .rate = 0.5f});
    guard(gradient, filled({1}, 2.5, dtype), step);
    const StepState state = read_step_state(step);
    CHECK(state.loss == 2.5f);
    CHECK(state.gradient_norm == doctest::Approx(norm).epsilon(1e-7));
    CHECK(state.non_finite == 0);
    CHECK(state.seed == 5);
    CHECK(state.update == 6);
    CHECK(state.rate == 0.5f);

    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity()}) {
      for (const std::int64_t at : {std::int64_t{0}, std::int64_t{70001}, size - 1}) {
        const Tensor one = gradient.slice(0, at, at + 1);
        fill(one, bad);
        const Tensor flagged = step_state({});
        guard(gradient, filled({}, 0), flagged);
        CHECK(read_step_state(flagged).non_finite != 0);
        fill(one, g[static_cast<std::size_t>(at)]);
      }
      const Tensor flagged = step_state({});
      guard(gradient, filled({}, bad), flagged);
      CHECK(read_step_state(flagged).non_finite != 0);
      guard(gradient, filled({}, 0), flagged);
      CHECK(read_step_state(flagged).non_finite != 0);  // never lowered
    }
  }
}

TEST_CASE("guard: large finite gradients raise no flag while their norm is one of f32") {
  const auto flag_of = [](const Tensor& gradient) {
    const Tensor step = step_state({});
    guard(gradient, filled({}, 3e38, gradient.dtype()), step);
    return read_step_state(step).non_finite;
  };
  CHECK(flag_of(filled({1000}, 1e37)) == 0);
  CHECK(flag_of(filled({1000}, 1e37, DType::f64)) == 0);
  // Clipping by a norm that is kept as infinity would multiply by 0.
  CHECK(flag_of(filled({1000}, 3e38)) == flag::too_large);
  CHECK(flag_of(filled({1000}, 1e300, DType::f64)) == flag::too_large);
}

TEST_CASE("guard: a gradient of 1e30 is clipped to its norm, as small ones are not") {
  for (const double size : {1e-30, 1e-3, 1e19, 1e30, 1e36}) {
    FlatState state = fresh(100, DType::f32);
    fill(state.values, 0);
    fill(state.gradients, size);
    const Tensor step = step_state({.rate = 1});
    const Clip clip{5};
    guard(state.gradients, filled({}, 0), step, limits_of(Sgd{}, clip, state));
    REQUIRE(read_step_state(step).non_finite == 0);
    sgd({}, clip, state, step);
    for (const double value : to_doubles(state.values))
      CHECK(value == doctest::Approx(-std::min(size, 0.5)).epsilon(1e-6));
  }
}

TEST_CASE("guard: what would overflow a moment or a value stops the update") {
  struct Found {
    std::uint32_t flag;
    FlatState state;
    bool finite() const {
      for (const Tensor& x : {state.values, state.first, state.second})
        for (const double value : to_doubles(x))
          if (!std::isfinite(value))
            return false;
      return true;
    }
  };
  // Ordinary gradients, then one of this size among them, then ordinary ones again.
  const auto after = [](const auto& how, const auto& pass, DType dtype, double size, float rate,
                        float clip = 0) {
    Found found{0, fresh(100, dtype)};
    found.state.average = Tensor::empty_like(found.state.values);
    copy_into(found.state.average, found.state.values);
    for (int t = 0; t < 5; ++t) {
      copy_into(found.state.gradients, rough({100}, dtype, 3 + static_cast<std::uint32_t>(t)));
      if (t == 2)
        fill(found.state.gradients.slice(0, 7, 8), size);
      const Tensor step = step_state({.rate = t == 2 ? rate : 1e-3f});
      guard(found.state.gradients, filled({}, 1, dtype), step, limits_of(how, {clip}, found.state));
      found.flag |= read_step_state(step).non_finite;
      pass(how, Clip{clip}, found.state, step);
    }
    return found;
  };
  const auto all = [&](auto check) {
    check(Adam{}, [](auto... a) { adam(a...); });
    check(Adam{0, 0.9f}, [](auto... a) { adam(a...); });
    check(Adam{0.9f, 0.5f}, [](auto... a) { adam(a...); });
    check(RmsProp{}, [](auto... a) { rms_prop(a...); });
    check(Sgd{}, [](auto... a) { sgd(a...); });
    check(Sgd{0.9f}, [](auto... a) { sgd(a...); });
  };
  all([&](const auto& how, const auto& pass) {
    for (const double size : {1.0, 1e10, 4e18, 1e21, 3e38}) {
      CAPTURE(size);
      const Found found = after(how, pass, DType::f32, size, 1e-3f);
      CHECK(found.flag == (size < 4.6e18 ? 0 : flag::too_large));
      CHECK(found.finite());
      const Found clipped = after(how, pass, DType::f32, size, 1e-3f, 1);
      CHECK(clipped.flag == (size < 8e37 ? 0 : flag::too_large));
      CHECK(clipped.finite());
    }
    const auto nan = std::numeric_limits<float>::quiet_NaN(),
               infinity = std::numeric_limits<float>::infinity();
    for (const float rate : {1e38f, infinity, -infinity, nan})
      for (const DType dtype : {DType::f32, DType::f64}) {
        const Found found = after(how, pass, dtype, 1, rate);
        CHECK((found.flag == flag::too_large || (dtype == DType::f64 && rate == 1e38f)));
        CHECK(found.finite());
      }
  });
  // Rates that diverge, but without an overflow, are nobody's business here.
  CHECK(after(
            Adam{}, [](auto... a) { adam(a...); }, DType::f32, 1, 1e20f)
            .flag == 0);
}

TEST_CASE("guard: the limits hold for moments and values of the largest gradients and rates") {
  const auto check = [](const auto& how, auto pass) {
    FlatState state = fresh(1, DType::f32);
    fill(state.values, 1);
    const GuardLimits limits = limits_of(how, {}, state);
    const double rate = std::min(limits.rate, 3e38);
    for (int t = 0; t < 300; ++t) {  // grows, then stays the largest, then is small
      fill(state.gradients, t < 200 ? std::min(limits.clipped, std::pow(2.0, t)) : 1e-3);
      const double before = to_doubles(state.values)[0];
      pass(how, Clip{}, state, step_state({.rate = static_cast<float>(rate)}));
      const double moved = std::abs(to_doubles(state.values)[0] - before);
      CHECK(moved <= 1.0001 * 0x1p-32 * std::numeric_limits<float>::max());
      CHECK(std::isfinite(to_doubles(state.first)[0]));
      CHECK(std::isfinite(to_doubles(state.second)[0]));
    }
  };
  for (const Adam& how : {Adam{}, Adam{0.5f, 0.999f}, Adam{0, 0.9f}, Adam{0.9f, 0.95f}})
    check(how, [](auto... a) { adam(a...); });
  check(RmsProp{}, [](auto... a) { rms_prop(a...); });
  check(Sgd{}, [](auto... a) { sgd(a...); });
  check(Sgd{0.9f}, [](auto... a) { sgd(a...); });
  FlatState state = fresh(4, DType::f32);
  state.segments = {{0, 2, 2, 0.5f}, {2, 4, 0.5f, 8}};
  const double alone = limits_of(RmsProp{}, {}, fresh(4, DType::f32)).rate;
  CHECK(limits_of(RmsProp{}, {}, state).rate == 0.5);  // 4 times it is a decay of 2: - 1 times
  state.segments[1].weight_decay = 0;
  state.segments[0].weight_decay = 0;
  CHECK(limits_of(RmsProp{}, {}, state).rate == doctest::Approx(alone / 2));
}

TEST_CASE("check_finite: raises its flag for any buffer that is not finite, and lowers none") {
  Tensors buffers;
  for (std::int64_t size = 0; size < 40; ++size)
    buffers.push_back(rough({7 * size}, size % 3 ? DType::f32 : DType::f64));
  const Tensor step = step_state({.seed = 5, .rate = 0.5f});
  check_finite({}, step);
  check_finite(buffers, step);
  CHECK(read_step_state(step).non_finite == 0);
  for (const std::size_t at : {std::size_t{1}, std::size_t{3}, std::size_t{39}})
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      Tensors broken = buffers;
      broken[at] = filled({700}, 1, broken[at].dtype());
      fill(broken[at].slice(0, 650, 651), bad);
      const Tensor flagged = step_state({.seed = 5, .rate = 0.5f, .non_finite = 1});
      check_finite(broken, flagged);
      CHECK(read_step_state(flagged).non_finite == (1 | flag::buffer));
      CHECK(read_step_state(flagged).rate == 0.5f);
    }
  CHECK(message([&] { check_finite({filled({2}, 0, DType::i64)}, step); }) ==
        "check_finite: a buffer is not contiguous, of f32 or f64.");
}

TEST_CASE("optimisers: under the flag nothing is written") {
  FlatState state = fresh(100, DType::f32);
  state.average = filled({100}, 0);
  state.average_decay = 0.9f;
  fill(state.gradients, std::numeric_limits<double>::quiet_NaN());
  const auto values = state.values.to_vector<float>();
  const Tensor step = step_state({.rate = 0.1f});
  guard(state.gradients, filled({}, 0), step);
  adam({}, {1}, state, step);
  rms_prop({}, {}, state, step);
  sgd({0.9f}, {}, state, step);
  CHECK(state.values.to_vector<float>() == values);
  for (const Tensor& untouched : {state.first, state.second, state.average})
    CHECK(untouched.to_vector<float>() == std::vector<float>(100, 0));
  CHECK(state.count.item<std::int64_t>() == 0);
  CHECK(read_step_state(step).update == 0);
  const Tensor to = filled({3}, 1);
  commit(to, filled({3}, 2), step);
  CHECK(to.to_vector<float>() == std::vector<float>(3, 1));
}

TEST_CASE("optimisers: a pass ends the update, and what was staged is committed") {
  FlatState state = fresh(100, DType::f32);
  state.average = filled({100}, 0);
  const Tensor step = step_state({.update = 41, .rate = 0.1f});
  sgd({}, {}, state, step);
  CHECK(read_step_state(step).update == 42);
  CHECK(state.count.item<std::int64_t>() == 1);
  const Tensor to = filled({3}, 1);
  commit(to, filled({3}, 2), step);
  CHECK(to.to_vector<float>() == std::vector<float>(3, 2));
}

TEST_CASE("optimisers: threads and instruction sets change no bit" * cpu_only) {
  const std::int64_t size = 70001;
  const auto after = [&] {
    FlatState state = fresh(size, DType::f32);
    copy_into(state.gradients, rough({size}));
    const Tensor step = step_state({.rate = 0.1f});
    guard(state.gradients, filled({}, 0), step);
    adam({}, {1}, state, step);
    auto values = state.values.to_vector<float>();
    values.push_back(read_step_state(step).gradient_norm);
    return values;
  };
  CHECK(on_threads(1, after) == on_threads(2, after));
  if (!cpu_has(Isa::v4))
    return;
  const auto run = [&]<class T>(Type<T>, const OptimiserLoops<T>& loops, auto loop) {
    const std::int64_t count = 1003;
    FlatState state = fresh(count, dtype_of<T>);
    copy_into(state.gradients, rough({count}, dtype_of<T>));
    fill(state.second, 0.3);
    state.average = filled({count}, 0, dtype_of<T>);
    (loops.*loop)({count, state.values.data<T>(), state.gradients.data<T>(), state.first.data<T>(),
                   state.second.data<T>(), state.average.data<T>(), T(0.7), T(0.1), T(0.01), T(0.9),
                   T(0.1), T(0.99), T(0.01), T(3), T(1e-8), T(0.3), T(0.8)});
    double sum, finite;
    loops.squares(state.values.data<T>(), count, &sum, &finite);
    Values all =
        to_doubles(concatenate({state.values, state.first, state.second, state.average}, 0));
    all.push_back(sum);
    return all;
  };
  const auto both = [&]<class T>(Type<T> type, const OptimiserLoops<T>& v3,
                                 const OptimiserLoops<T>& v4) {
    for (auto loop :
         {&OptimiserLoops<T>::adam, &OptimiserLoops<T>::rms_prop, &OptimiserLoops<T>::sgd,
          &OptimiserLoops<T>::momentum, &OptimiserLoops<T>::follow})
      CHECK(run(type, v3, loop) == run(type, v4, loop));
  };
  both(Type<float>{}, isa_v3::optimiser_table.f32, isa_v4::optimiser_table.f32);
  both(Type<double>{}, isa_v3::optimiser_table.f64, isa_v4::optimiser_table.f64);
}

TEST_CASE("optimisers: on meta nothing is touched") {
  FlatState state;
  for (Tensor* tensor : {&state.values, &state.gradients, &state.first, &state.second})
    *tensor = Tensor::empty({10}, DType::f32, Device::meta);
  state.count = Tensor::empty({1}, DType::i64, Device::meta);
  const Tensor step = make_step_state({}, Device::meta);
  const LaunchLog log;
  guard(state.gradients, Tensor::empty({}, DType::f32, Device::meta), step);
  adam({}, {}, state, step);
  REQUIRE(log.launches().size() == 2);
  CHECK(log.launches()[1].bytes == 7 * 40 + 16);
}

TEST_CASE("optimisers: errors say what does not fit") {
  const std::string here = device_under_test().name();
  FlatState state = fresh(4, DType::f32);
  const Tensor step = step_state({});
  const auto broken = [&](auto change) {
    FlatState other = state;
    change(other);
    return message([&] { adam({}, {}, other, step); });
  };
  CHECK(broken([](FlatState& s) { s.second = {}; }) ==
        "adam: there is no tensor of second moments. Give one like the values.");
  CHECK(broken([](FlatState& s) { s.first = filled({3}, 0); }) ==
        "adam: the first moments do not match the values: [3] f32 on " + here +
            " beside [4] f32 on " + here + ". Make them contiguous and alike.");
  CHECK(broken([](FlatState& s) {
          s.values = filled({2, 2}, 0);
        }) == "adam: the values are not one flat contiguous tensor of f32 or f64.");
  CHECK(broken([](FlatState& s) { s.count = filled({1}, 0); }) ==
        "adam: the count is not one i64 on " + here + ". Begin with 0.");
  CHECK(broken([](FlatState& s) {
          s.segments = {{0, 2}, {3, 4}};
        }) ==
        "adam: segment [3, 4) does not begin at 2, where the last one ends. Give ascending ones "
        "without gaps.");
  CHECK(broken([](FlatState& s) {
          s.segments = {{0, 3}};
        }) == "adam: the segments end at 3, the values at 4. Cover them all.");
  CHECK(message([&] { sgd({}, {}, state, filled({3}, 0, DType::u8)); }) ==
        "sgd: there is no step state on " + here + ". Use make_step_state().");
  CHECK(message([&] { adam({.epsilon = 0}, {}, state, step); }) ==
        "adam: epsilon is 0: a gradient of 0 would be divided by 0. Use one above 0.");
  CHECK(message([&] { guard(state.gradients, filled({2}, 0), step); }) ==
        "guard: the loss is not one floating-point number on " + here + ". Reduce it to one.");
  CHECK(message([&] { guard(filled({2}, 0, DType::bf16), filled({}, 0), step); }) ==
        "guard: the gradient is not one flat contiguous tensor of f32 or f64.");
}
