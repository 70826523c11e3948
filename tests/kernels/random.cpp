// Random tensors against single Philox blocks and the C library, and against their distributions.
#include "kernels/random.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/random.h"
#include "tensor/philox.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

const StepState step{0x0123456789abcdefull, 41};

Draw some_draw(std::uint32_t index = 0, const StepState& state = step) {
  return {step_state(state), purpose_hash("test/random"), index};
}

std::uint32_t word(std::int64_t i, const Draw& draw, const StepState& state = step) {
  const PhiloxBlock counter{{static_cast<std::uint32_t>(i / 4), draw.index,
                             static_cast<std::uint32_t>(state.update), draw.purpose}};
  return philox(counter, static_cast<std::uint32_t>(state.seed),
                static_cast<std::uint32_t>(state.seed >> 32))
      .word[i % 4];
}

double uniform_of(std::uint32_t word) { return (std::floor(word / 512.0) + 0.5) / 8388608.0; }

struct SampleMoments {
  double mean, variance, third, fourth;
};
SampleMoments sample_moments(const std::vector<double>& x) {
  const auto n = static_cast<double>(x.size());
  SampleMoments m{std::accumulate(x.begin(), x.end(), 0.0) / n, 0, 0, 0};
  for (const double value : x) {
    const double d = value - m.mean;
    m.variance += d * d / n;
    m.third += d * d * d / n;
    m.fourth += d * d * d * d / n;
  }
  return m;
}

// √n times the largest distance between the empirical and the true distribution function. Above
// 2.0 with probability 7e-4.
double kolmogorov_smirnov(std::vector<double> x, double (*distribution)(double)) {
  std::sort(x.begin(), x.end());
  const auto n = static_cast<double>(x.size());
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double f = distribution(x[i]), at = static_cast<double>(i);
    largest = std::max({largest, f - at / n, (at + 1) / n - f});
  }
  return std::sqrt(n) * largest;
}

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const SampleMoments a = sample_moments(x), b = sample_moments(y);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += (x[i] - a.mean) * (y[i] - b.mean);
  return sum / static_cast<double>(x.size()) / std::sqrt(a.variance * b.variance);
}

}  // namespace

TEST_CASE("random: element i is made of word i of the draw") {
  const Draw draw = some_draw(3);
  for (const std::int64_t n : {1, 2, 7, 255, 256, 257, 1000, 20001}) {
    const auto bits = random_bits({n}, draw).to_vector<std::int32_t>();
    const auto u32 = uniform({n}, draw).to_vector<float>();
    const auto u64 = to_doubles(uniform({n}, draw, DType::f64));
    bool same = true;
    for (std::int64_t i = 0; i < n; ++i)
      same = same && static_cast<std::uint32_t>(bits[i]) == word(i, draw) &&
             u32[i] == uniform_of(word(i, draw)) && u64[i] == uniform_of(word(i, draw));
    CHECK(same);
  }
}

TEST_CASE("random: normals are Box and Muller's transform of two words each") {
  const Draw draw = some_draw();
  const std::int64_t n = 10001;
  const auto x = normal({n}, draw).to_vector<float>();
  double worst = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t first = i & ~std::int64_t{1};
    const double radius = std::sqrt(-2 * std::log(uniform_of(word(first, draw))));
    const double angle = 2 * std::numbers::pi * uniform_of(word(first + 1, draw));
    worst = std::max(worst, std::abs(x[i] - radius * (i % 2 ? std::sin(angle) : std::cos(angle))));
  }
  CHECK(worst < 1e-6);
  CHECK(to_doubles(normal({n}, draw, DType::f64)) == std::vector<double>(x.begin(), x.end()));
  CHECK(to_doubles(normal({n}, draw, DType::bf16)) ==
        to_doubles(cast(normal({n}, draw), DType::bf16)));
}

TEST_CASE("random: the first values of a known draw") {
  // Philox4x32-10 of the counter {0, 0, 0, 0} under the key 0 (Random123's known answers).
  const Draw draw{step_state({}), 0, 0};
  CHECK(random_bits({4}, draw).to_vector<std::int32_t>() ==
        std::vector<std::int32_t>{0x6627e8d5, static_cast<std::int32_t>(0xe169c58du),
                                  static_cast<std::int32_t>(0xbc57ac4cu),
                                  static_cast<std::int32_t>(0x9b00dbd8u)});
  const auto x = normal({4}, draw).to_vector<float>();
  CHECK(x[0] == doctest::Approx(0.9911375).epsilon(1e-6));
  CHECK(x[1] == doctest::Approx(-0.9246628).epsilon(1e-6));
  CHECK(x[2] == doctest::Approx(-0.6176091).epsilon(1e-6));
  CHECK(x[3] == doctest::Approx(-0.4820683).epsilon(1e-6));
}

TEST_CASE("random: every device has the CPU's bits") {
  const Draw draw = some_draw(2), on_cpu{draw.state.to(Device::cpu), draw.purpose, draw.index};
  const std::int64_t n = 5003;
  const auto same = [&](auto make) { return to_doubles(make(draw)) == to_doubles(make(on_cpu)); };
  CHECK(random_bits({n}, draw).to_vector<std::int32_t>() ==
        random_bits({n}, on_cpu).to_vector<std::int32_t>());
  CHECK(integers({n}, 1000, draw).to_vector<std::int64_t>() ==
        integers({n}, 1000, on_cpu).to_vector<std::int64_t>());
  CHECK(permutation(n, draw).to_vector<std::int64_t>() ==
        permutation(n, on_cpu).to_vector<std::int64_t>());
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    CHECK(same([&](const Draw& d) { return uniform({n}, d, dtype); }));
    CHECK(same([&](const Draw& d) { return normal({n}, d, dtype); }));
    CHECK(
        same([&](const Draw& d) { return bernoulli(full({n}, 0.3, dtype, d.state.device()), d); }));
    CHECK(same(
        [&](const Draw& d) { return dropout(full({n}, 0.7, dtype, d.state.device()), 0.9, d); }));
  }
}

TEST_CASE("random: threads and instruction sets change no bit" * cpu_only) {
  const Draw draw = some_draw();
  const std::int64_t n = 50003;
  const auto bits = [&] { return random_bits({n}, draw).to_vector<std::int32_t>(); };
  const auto normals = [&] { return normal({n}, draw).to_vector<float>(); };
  CHECK(on_threads(1, bits) == on_threads(2, bits));
  CHECK(on_threads(1, normals) == on_threads(2, normals));
  if (!cpu_has(Isa::v4))
    return;
  const PhiloxStream stream{{1, 2}, 3, 4, 5};
  for (const std::int64_t batch : {0, 1, 12345}) {
    float a[random_batch], b[random_batch];
    isa_v3::random_table.normal(stream, batch, a);
    isa_v4::random_table.normal(stream, batch, b);
    CHECK(std::equal(a, a + random_batch, b));
    isa_v3::random_table.uniform(stream, batch, a);
    isa_v4::random_table.uniform(stream, batch, b);
    CHECK(std::equal(a, a + random_batch, b));
  }
}

TEST_CASE("random: a million uniforms are uniform") {
  const std::int64_t n = 1 << 20;
  const auto x = to_doubles(uniform({n}, some_draw()));
  const double root = std::sqrt(static_cast<double>(n));
  const SampleMoments m = sample_moments(x);
  CHECK(std::abs(m.mean - 0.5) < 4 * std::sqrt(1 / 12.0) / root);
  CHECK(std::abs(m.variance - 1 / 12.0) < 4 * std::sqrt(1 / 180.0) / root);
  CHECK(kolmogorov_smirnov(x, [](double u) { return u; }) < 2);
  CHECK(*std::min_element(x.begin(), x.end()) > 0);
  CHECK(*std::max_element(x.begin(), x.end()) < 1);
}

TEST_CASE("random: a million normals are normal") {
  const std::int64_t n = 1 << 20;
  const auto x = to_doubles(normal({n}, some_draw()));
  const double root = std::sqrt(static_cast<double>(n));
  const SampleMoments m = sample_moments(x);
  CHECK(std::abs(m.mean) < 4 / root);
  CHECK(std::abs(m.variance - 1) < 4 * std::sqrt(2.0) / root);
  CHECK(std::abs(m.third) < 4 * std::sqrt(6.0) / root);
  CHECK(std::abs(m.fourth - 3) < 4 * std::sqrt(96.0) / root);
  CHECK(kolmogorov_smirnov(x, [](double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; }) <
        2);
  std::vector<double> even, odd;
  for (std::size_t i = 0; i < x.size(); ++i)
    (i % 2 ? odd : even).push_back(x[i]);
  CHECK(std::abs(correlation(even, odd)) < 4 * std::numbers::sqrt2 / root);
}

TEST_CASE("random: other draws, updates, purposes and seeds are independent") {
  const std::int64_t n = 1 << 16;
  const auto first = to_doubles(normal({n}, some_draw()));
  StepState later = step, other = step;
  ++later.update;
  ++other.seed;
  Draw renamed = some_draw();
  renamed.purpose = purpose_hash("test/another");
  for (const Draw& draw : {some_draw(1), some_draw(0, later), some_draw(0, other), renamed})
    CHECK(std::abs(correlation(first, to_doubles(normal({n}, draw)))) < 4.0 / 256);
}

TEST_CASE("random: the step state is read when the kernel runs") {
  Draw draw = some_draw();
  const auto before = uniform({5}, draw).to_vector<float>();
  StepState next = step;
  ++next.update;
  write_step_state(draw.state, next);
  const auto after = uniform({5}, draw).to_vector<float>();
  CHECK(after != before);
  CHECK(after[4] == static_cast<float>(uniform_of(word(4, draw, next))));
}

TEST_CASE("bernoulli: 1 where the uniform is below p, in p's type") {
  const Draw draw = some_draw();
  const std::int64_t n = 100000;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const auto x = to_doubles(bernoulli(filled({n}, 0.25, dtype), draw));
    const auto u = to_doubles(uniform({n}, draw));
    bool same = true;
    for (std::size_t i = 0; i < x.size(); ++i)
      same = same && x[i] == (u[i] < 0.25 ? 1 : 0);
    CHECK(same);
    CHECK(std::abs(sample_moments(x).mean - 0.25) < 4 * std::sqrt(0.1875 / static_cast<double>(n)));
  }
  CHECK(to_doubles(bernoulli(tensor({2, 2}, std::vector<float>{0, 1, 0, 1}).transpose(), draw)) ==
        std::vector<double>{0, 0, 1, 1});
}

TEST_CASE("dropout: keeps x / keep where the uniform is below keep, else 0") {
  const Draw draw = some_draw();
  const std::int64_t n = 100003;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor x = filled({n}, 1.5, dtype);
    const auto y = to_doubles(dropout(x, 0.75, draw)), u = to_doubles(uniform({n}, draw));
    bool same = true;
    for (std::size_t i = 0; i < y.size(); ++i)
      same = same && y[i] == (u[i] < 0.75 ? 2 : 0);
    CHECK(same);
    CHECK(to_doubles(dropout(x, 1, draw)) == to_doubles(x));
  }
}

TEST_CASE("integers: every value equally often, none outside") {
  const Draw draw = some_draw();
  const std::int64_t n = 100000;
  const auto x = integers({n}, 7, draw).to_vector<std::int64_t>();
  std::vector<double> count(7);
  REQUIRE(*std::min_element(x.begin(), x.end()) == 0);
  REQUIRE(*std::max_element(x.begin(), x.end()) == 6);
  for (const std::int64_t value : x)
    count[value] += 1;
  double chi_squared = 0;  // of 6 degrees of freedom: above 27.9 with probability 1e-4
  for (const double c : count)
    chi_squared += (c - n / 7.0) * (c - n / 7.0) / (n / 7.0);
  CHECK(chi_squared < 27.9);
  const auto large = integers({3}, std::int64_t{1} << 62, draw).to_vector<std::int64_t>();
  for (std::int64_t i = 0; i < 3; ++i)
    CHECK(large[i] == static_cast<std::int64_t>(
                          (word(2 * i, draw) | std::uint64_t{word(2 * i + 1, draw)} << 32) >> 2));
  CHECK(integers({4}, 1, draw).to_vector<std::int64_t>() == std::vector<std::int64_t>(4, 0));
}

TEST_CASE("permutation: every position once, all orders equally often") {
  auto x = permutation(1000, some_draw()).to_vector<std::int64_t>();
  CHECK(x != permutation(1000, some_draw(1)).to_vector<std::int64_t>());
  std::sort(x.begin(), x.end());
  std::vector<std::int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  CHECK(x == all);
  CHECK(permutation(0, some_draw()).numel() == 0);

  std::vector<double> count(27);
  for (std::uint32_t index = 0; index < 6000; ++index) {
    const auto order = permutation(3, some_draw(index)).to_vector<std::int64_t>();
    count[9 * order[0] + 3 * order[1] + order[2]] += 1;
  }
  double chi_squared = 0;  // of 5 degrees of freedom: above 25.7 with probability 1e-4
  for (const double c : count)
    if (c > 0)
      chi_squared += (c - 1000) * (c - 1000) / 1000;
  CHECK(std::count(count.begin(), count.end(), 0.0) == 21);
  CHECK(chi_squared < 25.7);
}

TEST_CASE("random: on meta there is a shape") {
  const Draw draw{make_step_state({}, Device::meta), 1, 0};
  CHECK(normal({2, 3}, draw, DType::bf16).is_meta());
  CHECK(bernoulli(Tensor::empty({4}, DType::f32, Device::meta), draw).shape() == Shape{4});
  CHECK(permutation(5, draw).shape() == Shape{5});
}

TEST_CASE("random: errors say what does not fit") {
  const Draw draw = some_draw();
  CHECK(message([] { normal({2}, Draw{}); }) ==
        "normal: the draw has no step state. Use Random::draw().");
  CHECK(message([&] { normal({2}, draw, DType::i32); }) ==
        "normal: i32 holds no normal numbers. Ask for f32, f64 or bf16.");
  CHECK(message([&] { uniform({2}, draw, DType::u8); }) ==
        "uniform: u8 holds no numbers in (0, 1). Ask for f32, f64 or bf16.");
  CHECK(message([&] { integers({2}, 0, draw); }) ==
        "integers: there is none in [0, 0). Give a positive bound.");
  CHECK(message([&] { bernoulli(filled({2}, 0, DType::i64), draw); }) ==
        "bernoulli: the probabilities are i64. Give f32, f64 or bf16.");
  CHECK(message([&] { dropout(filled({2}, 0, DType::i64), 0.5, draw); }) ==
        "dropout: x is i64. Give f32, f64 or bf16.");
  CHECK(message([&] { dropout(filled({2}, 0), 0, draw); }) ==
        "dropout: keeps with probability 0. Give one in (0, 1].");
  CHECK(message([&] { permutation(-1, draw); }) == "permutation: of -1 elements. Give 0 or more.");
  CHECK(message([&] {
          random_bits({1 << 20, 1 << 20}, Draw{make_step_state({}, Device::meta)});
        }) ==
        "random_bits: [1048576, 1048576] needs more random words than one draw has, 2^34. Make "
        "several draws.");
}
