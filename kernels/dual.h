// Dual numbers: a value with its slopes along N inputs. A formula evaluated on them yields its
// derivatives; on duals of duals, its second derivatives. Same function names as kernels/math.h.
#pragma once
#include <type_traits>

#include "kernels/math.h"

namespace likely::kernels {

template <class T>
struct ScalarOf {
  using type = T;
};
// The plain number inside: float for float, Dual<float, 2>, Dual<Dual<float, 2>, 1>, …
template <class T>
using Scalar = typename ScalarOf<T>::type;

template <class A>
concept Number = std::is_arithmetic_v<A>;

// `depends` tells which slopes are not zero whatever the values. After inlining it is a
// compile-time constant: what it rules out costs nothing, and an infinite value does not turn a
// zero into NaN.
template <class T, int N>
struct Dual {
  T value{};
  T slope[N]{};
  unsigned depends = 0;

  Dual() = default;
  template <Number A>
  LIKELY_HD explicit constexpr Dual(A constant) : value(static_cast<Scalar<T>>(constant)) {}
  LIKELY_HD explicit Dual(const T& value, unsigned depends) : value(value), depends(depends) {}
  // The input number `i`, which moves along itself with slope 1.
  LIKELY_HD static Dual input(const T& value, int i, const T& slope = T(1)) {
    Dual x(value, 1u << i);
    x.slope[i] = slope;
    return x;
  }
  LIKELY_HD bool on(int i) const { return depends >> i & 1u; }
};

template <class T, int N>
struct ScalarOf<Dual<T, N>> {
  using type = Scalar<T>;
};

// y = f(a) with the derivative dy.
template <class T, int N>
LIKELY_HD Dual<T, N> chain(T y, T dy, const Dual<T, N>& a) {
  Dual<T, N> result(y, a.depends);
  LIKELY_UNROLL
  for (int i = 0; i < N; ++i)
    if (a.on(i))
      result.slope[i] = dy * a.slope[i];
  return result;
}

// y = f(a, b) with the derivatives da and db.
template <class T, int N>
LIKELY_HD Dual<T, N> chain(T y, T da, const Dual<T, N>& a, T db, const Dual<T, N>& b) {
  Dual<T, N> result(y, a.depends | b.depends);
  LIKELY_UNROLL
  for (int i = 0; i < N; ++i) {
    if (a.on(i) && b.on(i))
      result.slope[i] = multiply_add(da, a.slope[i], db * b.slope[i]);
    else if (a.on(i))
      result.slope[i] = da * a.slope[i];
    else if (b.on(i))
      result.slope[i] = db * b.slope[i];
  }
  return result;
}

template <class T, int N>
LIKELY_HD Dual<T, N> operator-(const Dual<T, N>& a) {
  Dual<T, N> result(-a.value, a.depends);
  LIKELY_UNROLL
  for (int i = 0; i < N; ++i)
    if (a.on(i))
      result.slope[i] = -a.slope[i];
  return result;
}
template <class T, int N>
LIKELY_HD Dual<T, N> operator+(const Dual<T, N>& a, const Dual<T, N>& b) {
  Dual<T, N> result(a.value + b.value, a.depends | b.depends);
  LIKELY_UNROLL
  for (int i = 0; i < N; ++i)
    result.slope[i] = !b.on(i) ? a.slope[i] : !a.on(i) ? b.slope[i] : a.slope[i] + b.slope[i];
  return result;
}
template <class T, int N>
LIKELY_HD Dual<T, N> operator-(const Dual<T, N>& a, const Dual<T, N>& b) {
  Dual<T, N> result(a.value - b.value, a.depends | b.depends);
  LIKELY_UNROLL
  for (int i = 0; i < N; ++i)
    result.slope[i] = !b.on(i) ? a.slope[i] : !a.on(i) ? -b.slope[i] : a.slope[i] - b.slope[i];
  return result;
}
template <class T, int N>
LIKELY_HD Dual<T, N> operator*(const Dual<T, N>& a, const Dual<T, N>& b) {
  return chain(a.value * b.value, b.value, a, a.value, b);
}
template <class T, int N>
LIKELY_HD Dual<T, N> operator/(const Dual<T, N>& a, const Dual<T, N>& b) {
  const T y = a.value / b.value, inverse = Scalar<T>(1) / b.value;
  return chain(y, inverse, a, -(y * inverse), b);
}
template <class T, int N>
LIKELY_HD Dual<T, N> multiply_add(const Dual<T, N>& a, const Dual<T, N>& b, const Dual<T, N>& c) {
  return a * b + c;
}

// With plain numbers.
template <class T, int N, Number A>
LIKELY_HD Dual<T, N> operator+(Dual<T, N> a, A b) {
  a.value = a.value + static_cast<Scalar<T>>(b);
  return a;
}
template <class T, int N, Number A>
LIKELY_HD Dual<T, N> operator+(A a, const Dual<T, N>& b) {
  return b + a;
}
template <class T, int N, Number A>
LIKELY_HD Dual<T, N> operator-(Dual<T, N> a, A b) {
  a.value = a.value - static_cast<Scalar<T>>(b);
  return a;
}
template <class T, int N, Number A>
LIKELY_HD Dual<T, N> operator-(A a, const Dual<T, N>& b) {
  return -b + a;
}
template <class T, int N, Number A>
LIKELY_HD Dual<T, N> operator*(const Dual<T, N>& a, A b) {
  const auto factor = static_cast<Scalar<T>>(b);
  Dual<T, N> result(a.value * factor, a.depends);
  LIKELY_UNROLL
  for (int i = 0; i < N; ++i)
    if (a.on(i))
      result.slope[i] = a.slope[i] * factor;
  return result;
}
template <class T, int N, Number A>
LIKELY_HD Dual<T, N> operator*(A a, const Dual<T, N>& b) {
  return b * a;
}
template <class T, int N, Number A>
LIKELY_HD Dual<T, N> operator/(const Dual<T, N>& a, A b) {
  const auto divisor = static_cast<Scalar<T>>(b);
  Dual<T, N> result(a.value / divisor, a.depends);
  LIKELY_UNROLL
  for (int i = 0; i < N; ++i)
    if (a.on(i))
      result.slope[i] = a.slope[i] / divisor;
  return result;
}
template <class T, int N, Number A>
LIKELY_HD Dual<T, N> operator/(A a, const Dual<T, N>& b) {
  const T y = static_cast<Scalar<T>>(a) / b.value;
  return chain(y, -(y / b.value), b);
}

// Comparisons and selects look at the values.
template <class T, int N, Number A>
LIKELY_HD bool operator<(const Dual<T, N>& a, A b) {
  return a.value < b;
}
template <class T, int N, Number A>
LIKELY_HD bool operator>(const Dual<T, N>& a, A b) {
  return a.value > b;
}
template <class T, int N, Number A>
LIKELY_HD bool operator<=(const Dual<T, N>& a, A b) {
  return a.value <= b;
}
template <class T, int N>
LIKELY_HD Dual<T, N> where(bool condition, const Dual<T, N>& a, const Dual<T, N>& b) {
  Dual<T, N> result(where(condition, a.value, b.value), a.depends | b.depends);
  LIKELY_UNROLL
  for (int i = 0; i < N; ++i)
    if (result.on(i))
      result.slope[i] = where(condition, a.slope[i], b.slope[i]);
  return result;
}

template <class T, int N>
LIKELY_HD Dual<T, N> exp(const Dual<T, N>& x) {
  const T y = exp(x.value);
  return chain(y, y, x);
}
template <class T, int N>
LIKELY_HD Dual<T, N> expm1(const Dual<T, N>& x) {
  return chain(expm1(x.value), exp(x.value), x);
}
template <class T, int N>
LIKELY_HD Dual<T, N> exp_above_tangent(const Dual<T, N>& x) {
  return chain(exp_above_tangent(x.value), expm1(x.value), x);
}
template <class T, int N>
LIKELY_HD Dual<T, N> log(const Dual<T, N>& x) {
  return chain(log(x.value), Scalar<T>(1) / x.value, x);
}
template <class T, int N>
LIKELY_HD Dual<T, N> sqrt(const Dual<T, N>& x) {
  const T y = sqrt(x.value);
  return chain(y, Scalar<T>(0.5) / y, x);
}
template <class T, int N>
LIKELY_HD Dual<T, N> tanh(const Dual<T, N>& x) {
  const T y = tanh(x.value);
  return chain(y, Scalar<T>(1) - y * y, x);
}
template <class T, int N>
LIKELY_HD Dual<T, N> sigmoid(const Dual<T, N>& x) {
  const T y = sigmoid(x.value);
  return chain(y, y * (Scalar<T>(1) - y), x);
}
template <class T, int N>
LIKELY_HD Dual<T, N> softplus(const Dual<T, N>& x) {
  return chain(softplus(x.value), sigmoid(x.value), x);
}
template <class T, int N>
LIKELY_HD Dual<T, N> erf(const Dual<T, N>& x) {
  const T slope = Scalar<T>(1.1283791670955126) * exp(-(x.value * x.value));  // 2 / √π e^-x²
  return chain(erf(x.value), slope, x);
}
// The slope at 0 is 0.
template <class T, int N>
LIKELY_HD Dual<T, N> abs(const Dual<T, N>& x) {
  const T zero(0), one(1);
  return chain(abs(x.value), where(x.value < 0, -one, where(x.value <= 0, zero, one)), x);
}

}  // namespace likely::kernels
