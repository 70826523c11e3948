// The tensor cores' instructions against the definitions of PTX, and what they cost and demand.
#include <bit>
#include <cmath>
#include <cstdint>

#include "tests/emulate/harness.h"

namespace likely::kernels {
namespace {

// Small numbers with few digits: sums of their products are exact.
std::vector<float> numbers(std::size_t count, unsigned seed) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<float>((i * 2654435761u + seed * 40503u) >> 7 & 31) / 8 - 2;
  return values;
}

std::vector<double> product(const std::vector<float>& a, const std::vector<float>& b, int depth) {
  std::vector<double> d(16 * 8);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j)
      for (int k = 0; k < depth; ++k)
        d[i * 8 + j] += double{a[i * depth + k]} * b[k * 8 + j];
  return d;
}

__device__ std::uint32_t bf16_pair(float low, float high) {
  return (std::bit_cast<std::uint32_t>(high) & 0xffff0000u) |
         std::bit_cast<std::uint32_t>(low) >> 16;
}

// Fragments as PTX lays them out, from row-major matrices.
__global__ void multiply_bf16(const float* a, const float* b, float* d) {
  const unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
  std::uint32_t fa[4], fb[2];
  for (unsigned i = 0; i < 4; ++i) {
    const float* const at = a + (g + 8 * (i % 2)) * 16 + 2 * t + 8 * (i / 2);
    fa[i] = bf16_pair(at[0], at[1]);
  }
  for (unsigned i = 0; i < 2; ++i)
    fb[i] = bf16_pair(b[(2 * t + 8 * i) * 8 + g], b[(2 * t + 1 + 8 * i) * 8 + g]);
  float sums[4] = {1, 1, 1, 1};
  cuda::mma_bf16(sums, fa, fb);
  for (unsigned i = 0; i < 4; ++i)
    d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = sums[i];
}

template <bool converted>
__global__ void multiply_tf32(const float* a, const float* b, float* d) {
  const unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
  const auto operand = [](float x) {
    return converted ? cuda::to_tf32(x) : std::bit_cast<std::uint32_t>(x);
  };
  std::uint32_t fa[4], fb[2];
  for (unsigned i = 0; i < 4; ++i)
    fa[i] = operand(a[(g + 8 * (i % 2)) * 8 + t + 4 * (i / 2)]);
  for (unsigned i = 0; i < 2; ++i)
    fb[i] = operand(b[(t + 4 * i) * 8 + g]);
  float sums[4] = {};
  cuda::mma_tf32(sums, fa, fb);
  for (unsigned i = 0; i < 4; ++i)
    d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = sums[i];
}

template <bool converted>
std::vector<float> tf32(const std::vector<float>& a, const std::vector<float>& b) {
  const Values<float> on_a(a), on_b(b), d(16 * 8);
  cuda::launch(tried(), multiply_tf32<converted>, {1u, 32}, on_a.begin(), on_b.begin(), d.begin());
  return d.read();
}

// 32 rows of 8 elements, `stride` elements apart, of which row r column c holds 8 r + c.
template <int stride>
struct Rows {
  alignas(16) std::uint16_t element[32 * stride];
};

template <int stride, bool transposed>
__global__ void load_matrices(std::uint32_t* out, int shift) {
  auto& rows = cuda::shared<Rows<stride>>();
  const int l = static_cast<int>(threadIdx.x);
  for (int c = 0; c < 8; ++c)
    rows.element[l * stride + c] = static_cast<std::uint16_t>(8 * l + c);
  __syncwarp();
  std::uint32_t r[4];
  if constexpr (transposed)
    cuda::ldmatrix_x4_transposed(r, &rows.element[l * stride + shift]);
  else
    cuda::ldmatrix_x4(r, &rows.element[l * stride + shift]);
  for (int i = 0; i < 4; ++i)
    out[4 * l + i] = r[i];
}

template <int stride>
__global__ void load_rows(float* out) {
  auto& rows = cuda::shared<Rows<stride>>();
  const auto* const begin = reinterpret_cast<const float*>(rows.element);
  float sum = 0;
  for (int again = 0; again < 3; ++again)
    sum += cuda::load16(begin + threadIdx.x * stride / 2).value[0];
  out[threadIdx.x] = sum;
}

template <class F>
std::uint64_t conflicts_of(F f) {
  const Settings settings;
  emulation().counts_bank_conflicts = true;
  emulation().bank_conflicts = 0;
  f();
  wait();
  return emulation().bank_conflicts;
}

}  // namespace

TEST_CASE("tensor cores: mma.m16n8k16 of bf16 adds a product") {
  const std::vector<float> a = numbers(16 * 16, 1), b = numbers(16 * 8, 2);
  const std::vector<double> expected = product(a, b, 16);
  for (const std::vector<float>& d : in_all_orders([&] {
         const Values<float> on_a(a), on_b(b), d(16 * 8);
         cuda::launch(tried(), multiply_bf16, {1u, 32}, on_a.begin(), on_b.begin(), d.begin());
         return d.read();
       }))
    for (std::size_t i = 0; i < d.size(); ++i)
      CHECK(d[i] == 1 + expected[i]);
}

TEST_CASE("tensor cores: mma.m16n8k8 of tf32 multiplies") {
  const std::vector<float> a = numbers(16 * 8, 3), b = numbers(8 * 8, 4);
  const std::vector<double> expected = product(a, b, 8);
  for (const std::vector<float>& d : in_all_orders([&] { return tf32<true>(a, b); }))
    for (std::size_t i = 0; i < d.size(); ++i)
      CHECK(d[i] == expected[i]);
}

TEST_CASE("tensor cores: operands that were not converted to tf32 are cut off") {
  std::vector<float> a = numbers(16 * 8, 5);
  const std::vector<float> b = numbers(8 * 8, 6);
  for (float& value : a)
    value *= 1 + std::ldexp(0.75f, -10);  // the next tf32 is nearer than the last
  std::vector<float> nearest = a;
  for (float& value : nearest)
    value = std::bit_cast<float>(emulate::to_tf32(value));
  const std::vector<double> expected = product(nearest, b, 8);
  const std::vector<float> right = tf32<true>(a, b), cut = tf32<false>(a, b);
  int wrong = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    CHECK(right[i] == doctest::Approx(expected[i]).epsilon(1e-6));
    wrong += std::fabs(cut[i] - expected[i]) > 1e-4 * std::fabs(expected[i]);
  }
  CHECK(wrong > 64);
}

TEST_CASE("tensor cores: cvt.rna.tf32 rounds to the nearest, ties away from zero") {
  const float ulp = std::ldexp(1.0f, -10);
  const auto rounded = [](float x) { return std::bit_cast<float>(emulate::to_tf32(x)); };
  CHECK(rounded(1 + 0.49f * ulp) == 1);
  CHECK(rounded(1 + 0.5f * ulp) == 1 + ulp);
  CHECK(rounded(-1 - 0.5f * ulp) == -1 - ulp);
  CHECK(rounded(1 + 1.51f * ulp) == 1 + 2 * ulp);
  CHECK(rounded(2 - 0.5f * ulp) == 2);
  CHECK(rounded(0) == 0);
  CHECK(rounded(HUGE_VALF) == HUGE_VALF);
  CHECK(std::isnan(rounded(NAN)));
}

TEST_CASE("tensor cores: ldmatrix hands each lane two elements of each matrix") {
  const auto element = [](int matrix, int row, int column) {
    return static_cast<std::uint32_t>(64 * matrix + 8 * row + column);
  };
  for (const bool transposed : {false, true})
    for (const std::vector<std::uint32_t>& r : in_all_orders([&] {
           const Values<std::uint32_t> out(128);
           cuda::launch(tried(), transposed ? load_matrices<8, true> : load_matrices<8, false>,
                        {1u, 32, sizeof(Rows<8>)}, out.begin(), 0);
           return out.read();
         }))
      for (int l = 0; l < 32; ++l)
        for (int i = 0; i < 4; ++i) {
          const int a = l / 4, b = 2 * (l % 4);
          const std::uint32_t low = transposed ? element(i, b, a) : element(i, a, b);
          const std::uint32_t high = transposed ? element(i, b + 1, a) : element(i, a, b + 1);
          CHECK(r[static_cast<std::size_t>(4 * l + i)] == (high << 16 | low));
        }
}

TEST_CASE("tensor cores: rows of ldmatrix begin at multiples of sixteen bytes") {
  const Values<std::uint32_t> out(128);
  const std::string fault = fault_of([&] {
    cuda::launch(tried(), load_matrices<16, false>, {1u, 32, sizeof(Rows<16>)}, out.begin(), 1);
  });
  INFO(fault);
  CHECK(fault.find("ldmatrix: the address 0x") != std::string::npos);
  CHECK(fault.find("tensor_cores.cpp:") != std::string::npos);
}

TEST_CASE("tensor cores: bank conflicts are counted") {
  const Values<std::uint32_t> out(128);
  const auto matrices = [&](auto kernel, std::size_t bytes) {
    return conflicts_of([&] { cuda::launch(tried(), kernel, {1u, 32, bytes}, out.begin(), 0); });
  };
  CHECK(matrices(load_matrices<8, false>, sizeof(Rows<8>)) == 0);
  CHECK(matrices(load_matrices<72, false>, sizeof(Rows<72>)) == 0);
  CHECK(matrices(load_matrices<64, false>, sizeof(Rows<64>)) == 4 * 7);
  CHECK(matrices(load_matrices<16, true>, sizeof(Rows<16>)) == 4 * 1);

  const Values<float> sums(32);
  const auto rows = [&](auto kernel, std::size_t bytes) {
    return conflicts_of([&] { cuda::launch(tried(), kernel, {1u, 32, bytes}, sums.begin()); });
  };
  CHECK(rows(load_rows<8>, sizeof(Rows<8>)) == 0);
  CHECK(rows(load_rows<64>, sizeof(Rows<64>)) == 3 * 4 * 7);
  CHECK(rows(load_rows<32>, sizeof(Rows<32>)) == 3 * 4 * 3);
}

}  // namespace likely::kernels
