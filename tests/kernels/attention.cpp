// Attention and its gradients against plain loops in f64.
#include "kernels/attention.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/attention.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"
#include "tests/reference/attention.h"

using namespace likely;
using namespace likely::kernels;
using reference::AttentionSizes;

namespace {

struct AttentionExample {
  AttentionSizes sizes;
  Tensor q, k, v, g;

  AttentionExample(const AttentionSizes& of, DType dtype)
      : sizes(of),
        q(rough({of.batch, of.queries, of.heads, of.channels}, dtype, 1)),
        k(rough({of.batch, of.keys, of.heads, of.channels}, dtype, 2)),
        v(rough(k.shape(), dtype, 3)),
        g(rough(q.shape(), dtype, 4)) {}

  Attended forward(const AttentionOptions& how = {}) const { return attention(q, k, v, how); }
};

Tensors all_of(const AttentionExample& of, const AttentionOptions& how) {
  const Attended y = of.forward(how);
  const AttentionGradients d = attention_gradients(of.g, y, of.q, of.k, of.v, how);
  return {y.out, y.log_sum, d.q, d.k, d.v};
}

std::vector<std::vector<double>> numbers_of(const Tensors& tensors) {
  std::vector<std::vector<double>> numbers;
  for (const Tensor& tensor : tensors)
    numbers.push_back(to_doubles(tensor));
  return numbers;
}

bool all_nan(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double x) { return std::isnan(x); });
}

}  // namespace

TEST_CASE("attention: values and gradients agree with plain loops, causal and not") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const AttentionSizes& sizes :
         {AttentionSizes{2, 64, 64, 1, 64}, AttentionSizes{1, 3, 5, 2, 7},
          AttentionSizes{2, 1, 1, 1, 1}, AttentionSizes{1, 70, 300, 3, 20},
          AttentionSizes{1, 130, 131, 1, 33}, AttentionSizes{1, 40, 40, 1, 250}})
      for (const bool causal : {false, true})
        for (const std::optional<double> scale : {std::optional<double>(), std::optional(-0.2)}) {
          INFO(fmt::format("{} {}x{} {} heads of {}{}", dtype, sizes.queries, sizes.keys,
                           sizes.heads, sizes.channels, causal ? ", causal" : ""));
          const AttentionExample of(sizes, dtype);
          const auto found = numbers_of(all_of(of, {causal, scale}));
          const reference::Attended expected = reference::attention(
              to_doubles(of.q), to_doubles(of.k), to_doubles(of.v), to_doubles(of.g), sizes, causal,
              scale.value_or(1 / std::sqrt(static_cast<double>(sizes.channels))));
          const double bar = dtype == DType::f64 ? 1e-13 : dtype == DType::f32 ? 2e-5 : 3e-2;
          CHECK(largest_error(found[0], expected.out) < bar);
          CHECK(largest_error(found[1], expected.log_sum) < (dtype == DType::f64 ? bar : 2e-6));
          CHECK(largest_error(found[2], expected.dq) < bar);
          CHECK(largest_error(found[3], expected.dk) < bar);
          CHECK(largest_error(found[4], expected.dv) < bar);
        }
}

TEST_CASE("attention: equal scores give the mean of the values, even where they are huge") {
  const Tensor q = filled({1, 4, 1, 8}, 1e18), k = filled({1, 512, 1, 8}, 1e12);
  const Tensor v = rough({1, 512, 1, 8});
  std::vector<double> mean(8);
  const auto values = to_doubles(v);
  for (std::size_t i = 0; i < values.size(); ++i)
    mean[i % 8] += values[i] / 512;
  const auto out = to_doubles(attention(q, k, v).out);
  for (std::size_t i = 0; i < out.size(); ++i)
    CHECK(out[i] == doctest::Approx(mean[i % 8]).epsilon(1e-5));
}

TEST_CASE("attention: maxima that come late do not lose what came before") {
  const std::int64_t keys = 700;  // several blocks
  std::vector<float> climbing(static_cast<std::size_t>(keys));
  for (std::int64_t j = 0; j < keys; ++j)
    climbing[static_cast<std::size_t>(j)] = 0.25f * static_cast<float>(j);
  const Tensor k = tensor({1, keys, 1, 1}, climbing), v = rough({1, keys, 1, 1});
  const Tensor q = filled({1, 1, 1, 1}, 1);
  const auto expected =
      reference::attention({1}, to_doubles(k), to_doubles(v), {1}, {1, 1, keys, 1, 1}, false, 1);
  const Attended y = attention(q, k, v);
  CHECK(to_doubles(y.out)[0] == doctest::Approx(expected.out[0]).epsilon(1e-5));
  CHECK(to_doubles(y.log_sum)[0] == doctest::Approx(expected.log_sum[0]).epsilon(1e-6));
}

TEST_CASE("attention: causal, no value or gradient of a query comes from a later key") {
  const AttentionExample of({1, 90, 90, 2, 16}, DType::f32);
  const auto whole = of.forward({true}).out.slice(1, 0, 70).to_vector<float>();
  const Tensor k = of.k.slice(1, 0, 70), v = of.v.slice(1, 0, 70), q = of.q.slice(1, 0, 70);
  CHECK(attention(q, k, v, {true}).out.to_vector<float>() == whole);
  const Tensor late = contiguous(of.g);
  Tensor early = late.slice(1, 0, 89);
  copy_into(early, filled(early.shape(), 0));
  const AttentionGradients d =
      attention_gradients(late, of.forward({true}), of.q, of.k, of.v, {true});
  const auto dq = to_doubles(d.q.slice(1, 0, 89));
  CHECK(dq == std::vector<double>(dq.size(), 0.0));
  CHECK(to_doubles(d.k.slice(1, 89, 90)) != std::vector<double>(32, 0.0));
}

TEST_CASE("attention: a query alone, and the last one of a sequence, equal those in a batch") {
  const AttentionExample of({3, 150, 150, 2, 40}, DType::f32);
  const auto of_one = [](const Tensor& x) { return x.slice(0, 1, 2); };
  for (const bool causal : {false, true}) {
    const Tensor all = of_one(of.forward({causal}).out).slice(1, 149, 150);
    const Tensor one =
        attention(of_one(of.q).slice(1, 149, 150), of_one(of.k), of_one(of.v), {causal}).out;
    CHECK(one.to_vector<float>() == all.to_vector<float>());
  }
}

TEST_CASE("attention: views of a wider row give the bits of their copies") {
  const Tensor qkv = rough({2, 50, 3 * 24});
  const auto part = [&](int i) { return qkv.slice(2, 24 * i, 24 * (i + 1)); };
  const auto heads = [](const Tensor& x) { return contiguous(x).reshape({2, 50, 3, 8}); };
  const Tensor view = qkv.view({2, 50, 3, 8}, {50 * 72, 72, 8, 1}, 0);
  CHECK(attention(view, heads(part(1)), heads(part(2))).out.to_vector<float>() ==
        attention(heads(part(0)), heads(part(1)), heads(part(2))).out.to_vector<float>());
}

TEST_CASE("attention: an infinite or undefined score makes its row NaN, and no other") {
  for (const float special : {std::numeric_limits<float>::infinity(), NAN}) {
    std::vector<float> values(12, 0.5f);
    values[4] = special;  // the second query's first channel
    const Tensor q = tensor({1, 3, 1, 4}, values), k = rough({1, 6, 1, 4}), v = rough(k.shape());
    const Tensor out = attention(q, k, v).out;
    CHECK(all_nan(to_doubles(out.slice(1, 1, 2))));
    for (const double x : to_doubles(out.slice(1, 2, 3)))
      CHECK(std::isfinite(x));
  }
}

TEST_CASE("attention: threads and instruction sets change no bit" * cpu_only) {
  for (const bool causal : {false, true}) {
    const AttentionExample of({3, 200, 290, 2, 48}, DType::f32);
    const auto all = [&] { return numbers_of(all_of(of, {causal})); };
    CHECK(on_threads(1, all) == on_threads(2, all));
    if (!cpu_has(Isa::v4))
      continue;
    const auto by = [&](const AttentionTable& table) {
      const std::int64_t row = 96;
      std::vector<float> out(200 * row), log_sum(200), dq(out), dk(290 * row), dv(dk);
      std::vector<float> space(table.workspace(48), NAN);
      const AttentionHead head{200,
                               290,
                               48,
                               row,
                               causal,
                               0.3f,
                               of.q.data<float>(),
                               of.k.data<float>(),
                               of.v.data<float>(),
                               out.data(),
                               log_sum.data(),
                               of.g.data<float>(),
                               dq.data(),
                               dk.data(),
                               dv.data()};
      for (std::int64_t first = 0; first < 200; first += attention_queries)
        table.values(head, first, std::min<std::int64_t>(attention_queries, 200 - first),
                     space.data());
      table.gradients(head, space.data());
      return std::vector{out, log_sum, dq, dk, dv};
    };
    CHECK(by(isa_v3::attention_table) == by(isa_v4::attention_table));
  }
}

TEST_CASE("attention: nothing of no images, and shapes alone on meta") {
  const Tensor none = filled({0, 3, 1, 4}, 0);
  CHECK(attention(none, none, none).log_sum.shape() == Shape{0, 1, 3});
  const Tensor no_queries = filled({2, 0, 1, 4}, 0), k = rough({2, 3, 1, 4});
  const Attended y = attention(no_queries, k, k);
  CHECK(to_doubles(attention_gradients(no_queries, y, no_queries, k, k).k) ==
        std::vector<double>(24, 0.0));
  const Tensor q = Tensor::empty({2, 5, 3, 8}, DType::bf16, Device::meta);
  const Attended shapes = attention(q, q, q);
  CHECK(shapes.out.dtype() == DType::bf16);
  CHECK(shapes.log_sum.dtype() == DType::f32);
  CHECK(attention_gradients(q, shapes, q, q, q).v.shape() == q.shape());
}

TEST_CASE("attention: errors say what does not fit") {
  const Tensor q = filled({1, 4, 2, 3}, 0), k = filled({1, 3, 2, 3}, 0);
  CHECK(message([&] { attention(q, k, {}); }) ==
        "attention: q, k or v is undefined. Give three tensors.");
  CHECK(message([&] {
          attention(filled({1, 1, 1, 1}, 0, DType::i32), k, k);
        }) ==
        "attention: i32 has no exponentials: only floating-point types have. Use cast() "
        "first.");
  CHECK(message([&] {
          attention(q, filled({1, 3, 1, 3}, 0), k);
        }) ==
        "attention: q is [1, 4, 2, 3], k [1, 3, 1, 3]. Give them as [batch, queries, heads, "
        "channels] and [batch, keys, heads, channels].");
  CHECK(message([&] { attention(q, k, q); }) ==
        fmt::format("attention: v must be f32 [1, 3, 2, 3] on {}, for q f32 [1, 4, 2, 3].",
                    q.device()));
  CHECK(message([&] { attention(q, k, k, {true}); }) ==
        "attention: causal, but q is [1, 4, 2, 3] and k [1, 3, 2, 3]: the first queries would see "
        "nothing. Give at least as many keys as queries.");
  const Tensor no_keys = filled({1, 0, 2, 3}, 0);
  CHECK(message([&] { attention(q, no_keys, no_keys); }) ==
        "attention: there is no mean of no values: k is [1, 0, 2, 3]. Give one key or more.");
}
