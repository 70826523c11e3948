// How an element of one type becomes one of another, on every device. Floating point to integer
// truncates towards zero, saturates, and takes NaN to 0; between integers the low bits stay.
#pragma once
#include <limits>
#include <type_traits>

#include "tensor/dtype.h"

namespace likely::kernels {

// (nvcc calls no function of std on a device, but reads constants.)
template <class T>
constexpr T least = std::numeric_limits<T>::min();
template <class T>
constexpr T most = std::numeric_limits<T>::max();

template <class To, class From>
LIKELY_HD To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, bf16>) {
    return convert<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return bf16(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    constexpr From low = static_cast<From>(least<To>);
    constexpr From end = From{2} * static_cast<From>(most<To> / 2 + 1);
    if (value >= end)
      return most<To>;
    if (value <= low)
      return least<To>;
    return value == value ? static_cast<To>(value) : To{0};
  } else {
    return static_cast<To>(value);
  }
}

// What an element computes in.
template <class T>
using Computed = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

// Calls f(Type<T>{}) with the C++ type of a floating-point `dtype`; of another, does nothing.
template <class F>
void with_floating(DType dtype, F f) {
  with_type(dtype, [&]<class T>(Type<T> type) {
    if constexpr (is_floating(dtype_of<T>))
      f(type);
  });
}

template <bool add, class To, class From>
LIKELY_HD void put(To& to, From from) {
  if constexpr (add)
    to = convert<To>(static_cast<Computed<To>>(to) + static_cast<Computed<From>>(from));
  else
    to = convert<To>(from);
}

}  // namespace likely::kernels
