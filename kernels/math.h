// Elementary functions for pointwise loops. In float: branch-free polynomials on explicit fma,
// which vectorise, err by at most 2 ulp, keep NaN, infinities, signed zeros and denormals, and give
// the same bits on every device. In double: the C library's.
#pragma once
#include <cstdint>
#include <type_traits>

#include "tensor/host_device.h"

namespace likely::kernels {

LIKELY_HD float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
LIKELY_HD double multiply_add(double a, double b, double c) { return __builtin_fma(a, b, c); }

// a where the condition holds, else b; both are computed. By bits: g++ turns a chain of ?: into
// control flow that it then vectorises badly.
LIKELY_HD float where(bool condition, float a, float b) {
  const int mask = -static_cast<int>(condition);
  return __builtin_bit_cast(
      float, (__builtin_bit_cast(int, a) & mask) | (__builtin_bit_cast(int, b) & ~mask));
}
LIKELY_HD double where(bool condition, double a, double b) { return condition ? a : b; }
LIKELY_HD float at_most(float x, float limit) { return x > limit ? limit : x; }  // NaN stays

LIKELY_HD float abs(float x) { return __builtin_fabsf(x); }
LIKELY_HD double abs(double x) { return __builtin_fabs(x); }
LIKELY_HD float sqrt(float x) { return __builtin_sqrtf(x); }
LIKELY_HD double sqrt(double x) { return __builtin_sqrt(x); }

// c0 + c1 x + c2 x² + … as (c0 + c1 x) + x² (…): half of Horner's chain of dependent steps.
LIKELY_HD float polynomial(float, float c0) { return c0; }
LIKELY_HD float polynomial(float x, float c0, float c1) { return multiply_add(c1, x, c0); }
template <class... More>
LIKELY_HD float polynomial(float x, float c0, float c1, More... more) {
  return multiply_add(x * x, polynomial(x, more...), multiply_add(c1, x, c0));
}

LIKELY_HD std::int32_t bits_of(float x) { return __builtin_bit_cast(std::int32_t, x); }
LIKELY_HD float from_bits(std::int32_t bits) { return __builtin_bit_cast(float, bits); }

// 2^n for -126 ≤ n ≤ 127.
LIKELY_HD float power_of_two(std::int32_t n) {
  return from_bits(static_cast<std::int32_t>(static_cast<std::uint32_t>(n + 127) << 23));
}

struct Rounded {
  float value;     // the nearest whole number, ties to even
  std::int32_t n;  // the same as an integer; anything for NaN
};
// x · factor rounded, where that is below 2^22: adding 1.5 · 2^23 leaves the whole number in the
// low bits.
LIKELY_HD Rounded round_product(float x, float factor) {
  const float shifted = multiply_add(x, factor, 0x1.8p23f);
  return {shifted - 0x1.8p23f, bits_of(shifted) - bits_of(0x1.8p23f)};
}

// x = n ln 2 + r, |r| ≤ ½ ln 2 and a little; ln 2 in two parts, the first short enough for n · it
// to be exact.
struct ExpReduced {
  std::int32_t n;
  float r;
};
LIKELY_HD ExpReduced reduce_for_exp(float x) {
  const Rounded whole = round_product(x, 0x1.715476p0f);
  const float r = multiply_add(whole.value, -0x1.62e4p-1f, x);
  return {whole.n, multiply_add(whole.value, -0x1.7f7d1cp-20f, r)};
}

// e^x for |x| ≤ 104: beyond that it is ∞ or 0 already.
LIKELY_HD float exp_within_104(float x) {
  const auto [n, r] = reduce_for_exp(x);
  const float p = multiply_add(r * r,
                               polynomial(r, 0x1.fffffcp-2f, 0x1.55548ap-3f, 0x1.55584ep-5f,
                                          0x1.123f2ep-7f, 0x1.6ad122p-10f),
                               r) +
                  1.0f;
  // In two steps, the first exact, so that results below 2^-126 are rounded once.
  const std::int32_t half = n >> 1;
  return p * power_of_two(half) * power_of_two(n - half);
}
LIKELY_HD float exp_of_minus_abs(float x) { return exp_within_104(-at_most(abs(x), 104.0f)); }
LIKELY_HD double exp_of_minus_abs(double x) { return __builtin_exp(-abs(x)); }
LIKELY_HD float exp(float x) {
  return exp_within_104(__builtin_copysignf(at_most(abs(x), 104.0f), x));
}
LIKELY_HD double exp(double x) { return __builtin_exp(x); }

// 1 + x / first (1 + x / (first + 1) (1 + …)) for |x| ≤ ½ ln 2: what is left of e^x's series where
// its first terms are taken away.
template <class T>
LIKELY_HD T rest_of_exp(T x, int first) {
  constexpr int last = sizeof(T) == sizeof(float) ? 9 : 16;
  T sum = 1;
  LIKELY_UNROLL
  for (int n = last; n > 1; --n)
    sum = n < first ? sum : multiply_add(sum, x * T(1.0 / n), T(1));
  return sum;
}
template <class T>
LIKELY_HD bool has_short_series(T x) {
  return abs(x) < T(0x1.62e42fefa39efp-2);
}
// e^x - 1, and e^x less its tangent at 0, 1 + x: near 0 by their series, where nothing cancels.
template <class T>
requires std::is_floating_point_v<T> LIKELY_HD T expm1(T x) {
  return where(has_short_series(x), x * rest_of_exp(x, 2), exp(x) - 1);
}
template <class T>
requires std::is_floating_point_v<T> LIKELY_HD T exp_above_tangent(T x) {
  return where(has_short_series(x), T(0.5) * x * x * rest_of_exp(x, 3), exp(x) - 1 - x);
}

// log(1 + f) for |f| ≤ 1/3.
LIKELY_HD float log1p_reduced(float f) {
  return multiply_add(
      f * f,
      polynomial(f, -0.5f, 0x1.555556p-2f, -0x1.ffff02p-3f, 0x1.99985ep-3f, -0x1.559bbp-3f,
                 0x1.24d7b4p-3f, -0x1.f33578p-4f, 0x1.bb448cp-4f, -0x1.07ed0cp-3f, 0x1.e00f80p-4f),
      f);
}

LIKELY_HD float log(float x) {
  const bool denormal = x < 0x1p-126f;
  const auto bits = static_cast<std::uint32_t>(bits_of(where(denormal, x * 0x1p23f, x)));
  // x = 2^e m with m in [2/3, 4/3).
  const std::uint32_t above = (bits - bits_of(0x1.555556p-1f)) & 0xff800000u;
  const float e =
      static_cast<float>(static_cast<std::int32_t>(above) >> 23) - where(denormal, 23.0f, 0.0f);
  const float f = from_bits(static_cast<std::int32_t>(bits - above)) - 1.0f;
  const float low = multiply_add(e, -0x1.05c610p-29f, log1p_reduced(f));
  const float result = multiply_add(e, 0x1.62e43p-1f, low);
  const float infinity = __builtin_inff();
  const float beside = where(x == 0.0f, -infinity, __builtin_nanf(""));
  return where(x < infinity, where(x > 0.0f, result, beside), x);
}
LIKELY_HD double log(double x) { return __builtin_log(x); }

// tanh |x| = m / (m + 2) with m = e^{2|x|} - 1, which keeps small arguments.
LIKELY_HD float tanh(float x) {
  const float y = abs(x);
  const auto [n, r] = reduce_for_exp(at_most(y + y, 20.0f));  // 1 from 9.02 on
  const float scale = power_of_two(n);
  const float expm1_r = multiply_add(r * r,
                                     polynomial(r, 0.5f, 0x1.55552ap-3f, 0x1.5555p-5f,
                                                0x1.11594cp-7f, 0x1.6d3068p-10f, 0x1.359076p-13f),
                                     r);
  const float m = multiply_add(scale, expm1_r, scale - 1.0f), sum = m + 2.0f;
  // One step of correction where it shows, for what the sum and the quotient lost; 1 / sum ≈ ½.
  const float t = m / sum, lost = m - (sum - 2.0f);
  const float residual = multiply_add(-t, lost, multiply_add(-t, sum, m));
  return __builtin_copysignf(multiply_add(residual, where(y < 0.5f, 0.5f, 0.0f), t), x);
}
LIKELY_HD double tanh(double x) { return __builtin_tanh(x); }

// 1 / (1 + e^-x), by e^-|x|, which does not overflow.
LIKELY_HD float sigmoid(float x) {
  const float e = exp_of_minus_abs(x), sum = 1.0f + e;
  const float y = where(x < 0.0f, e, 1.0f) / sum;
  return multiply_add(-y, e - (sum - 1.0f), y);  // what the sum lost
}
LIKELY_HD double sigmoid(double x) {
  const double e = exp_of_minus_abs(x);
  return where(x < 0.0, e, 1.0) / (1.0 + e);
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
LIKELY_HD float softplus(float x) {
  const float e = exp_of_minus_abs(x);
  const bool large = e > 0x1.555556p-2f;  // 1 + e = 2 (1 + ½ (e - 1))
  const float f = where(large, 0.5f * (e - 1.0f), e);
  return where(x < 0.0f, 0.0f, x) + (where(large, 0x1.62e43p-1f, 0.0f) + log1p_reduced(f));
}
LIKELY_HD double softplus(double x) {
  return where(x < 0.0, 0.0, x) + __builtin_log1p(exp_of_minus_abs(x));
}

// x + x p(x²) below 0.95, above it 1 - e^{-q(|x|)}.
LIKELY_HD float erf(float x) {
  const float y = abs(x);
  const float near_zero =
      multiply_add(x,
                   polynomial(x * x, 0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2ce6p-4f,
                              -0x1.b7f71ap-6f, 0x1.53f224p-8f, -0x1.a3515ep-11f, 0x1.4771fep-14f),
                   x);
  const float tail = 1.0f - exp_within_104(-polynomial(
                                at_most(y, 4.0f), -0x1.62d9dep-13f, 0x1.212628p+0f, 0x1.444d16p-1f,
                                0x1.bb45aep-4f, -0x1.9aed04p-6f, 0x1.1064d8p-8f, -0x1.c4635ep-12f,
                                0x1.5d83e2p-16f));  // 1 from 3.92 on
  return where(y < 0.95f, near_zero, __builtin_copysignf(tail, x));
}
LIKELY_HD double erf(double x) { return __builtin_erf(x); }

struct SinCos {
  float sin, cos;
};
// Of 2π t, for |t| < 2^20: as accurate for large t as for small, since whole turns drop out
// exactly.
LIKELY_HD SinCos sin_cos_turns(float t) {
  const Rounded quarters = round_product(t, 4.0f);
  const float r = multiply_add(quarters.value, -0.25f, t);  // |r| ≤ 1/8
  const float square = r * r;
  const float sine =
      r * multiply_add(square, polynomial(square, -0x1.4abc24p+5f, 0x1.4680a2p+6f, -0x1.3318dep+6f),
                       0x1.921fb6p+2f);
  const float cosine = multiply_add(
      square, polynomial(square, -0x1.3bd3ccp+4f, 0x1.03c1aep+6f, -0x1.55b146p+6f, 0x1.d47d48p+5f),
      1.0f);
  const bool odd = quarters.n & 1;
  const float sin = where(odd, cosine, sine), cos = where(odd, sine, cosine);
  return {where(quarters.n & 2, -sin, sin), where((quarters.n + 1) & 2, -cos, cos)};
}

}  // namespace likely::kernels
