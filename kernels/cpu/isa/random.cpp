// Philox blocks side by side, and uniform and normal numbers from their words.
#include "kernels/cpu/isa/random.h"

// g++ 12 warns falsely of its own header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

namespace likely::kernels::LIKELY_ISA {
namespace {

// One block in each 64-bit lane. Only the lower halves count: the multiply reads no other.
#ifdef __AVX512F__
constexpr int blocks = 8;
#else
constexpr int blocks = 4;
#endif
using Words [[gnu::vector_size(8 * blocks)]] = unsigned long long;
constexpr int pairs = random_batch / 2;

[[gnu::always_inline]] inline void multiply(const Words& a, std::uint32_t b, Words& product) {
#ifdef __AVX512F__
  product = (Words)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#else
  product = (Words)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#endif
}

// Word 2j of the batch to first[j], word 2j + 1 to second[j].
void make_words(const PhiloxStream& stream, std::int64_t batch, std::uint32_t* first,
                std::uint32_t* second) {
  constexpr int together = 4;  // one chain of ten rounds waits for itself
  Words lane;
  for (int l = 0; l < blocks; ++l)
    lane[l] = l;
  const Words low = Words{} + 0xffffffffull;
  for (std::int64_t block = batch * (random_batch / 4), end = block + random_batch / 4; block < end;
       block += together * blocks) {
    Words word[together][4];
    for (int t = 0; t < together; ++t) {
      word[t][0] = lane + static_cast<unsigned long long>(block + t * blocks);
      word[t][1] = Words{} + stream.index;
      word[t][2] = Words{} + stream.update;
      word[t][3] = Words{} + stream.purpose;
    }
    std::uint32_t key0 = stream.key[0], key1 = stream.key[1];
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      for (int t = 0; t < together; ++t) {
        Words a, b;
        multiply(word[t][0], 0xD2511F53u, a);
        multiply(word[t][2], 0xCD9E8D57u, b);
        word[t][0] = (b >> 32) ^ word[t][1] ^ key0;
        word[t][2] = (a >> 32) ^ word[t][3] ^ key1;
        word[t][1] = b;
        word[t][3] = a;
      }
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    for (int t = 0; t < together; ++t, first += 2 * blocks, second += 2 * blocks) {
      const Words even = (word[t][0] & low) | (word[t][2] << 32);
      const Words odd = (word[t][1] & low) | (word[t][3] << 32);
      __builtin_memcpy(first, &even, sizeof even);
      __builtin_memcpy(second, &odd, sizeof odd);
    }
  }
}

void bits(const PhiloxStream& stream, std::int64_t batch, std::uint32_t* out) {
  alignas(64) std::uint32_t first[pairs], second[pairs];
  make_words(stream, batch, first, second);
#pragma omp simd
  for (int j = 0; j < pairs; ++j) {
    out[2 * j] = first[j];
    out[2 * j + 1] = second[j];
  }
}

void uniform(const PhiloxStream& stream, std::int64_t batch, float* out) {
  alignas(64) std::uint32_t first[pairs], second[pairs];
  make_words(stream, batch, first, second);
#pragma omp simd
  for (int j = 0; j < pairs; ++j) {
    out[2 * j] = uniform_from(first[j]);
    out[2 * j + 1] = uniform_from(second[j]);
  }
}

void normal(const PhiloxStream& stream, std::int64_t batch, float* out) {
  alignas(64) std::uint32_t first[pairs], second[pairs];
  make_words(stream, batch, first, second);
#pragma omp simd
  for (int j = 0; j < pairs; ++j) {
    const NormalPair pair = normals_from(first[j], second[j]);
    out[2 * j] = pair.first;
    out[2 * j + 1] = pair.second;
  }
}

}  // namespace

const RandomTable random_table{bits, uniform, normal};

}  // namespace likely::kernels::LIKELY_ISA
