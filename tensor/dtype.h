// DType: the six element types, and the step from a run-time type to a C++ one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

#include "tensor/error.h"
#include "tensor/host_device.h"

namespace likely {

// The upper half of an f32, rounded to nearest even. Storage only: arithmetic happens in float.
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;
  LIKELY_HD explicit bf16(float value) {
    const auto word = __builtin_bit_cast(std::uint32_t, value);
    const bool nan = (word & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<std::uint16_t>(
        (nan ? word | 0x400000u : word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
  }
  LIKELY_HD explicit operator float() const {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
  }
};

enum class DType : std::uint8_t { f32, f64, bf16, i64, i32, u8 };

std::size_t size_of(DType dtype);  // bytes an element
const char* name_of(DType dtype);
constexpr bool is_floating(DType dtype) { return dtype <= DType::bf16; }

template <class T>
inline constexpr DType dtype_of = [] {
  static_assert(sizeof(T) == 0,
                "not an element type: use float, double, bf16, int64_t, int32_t or uint8_t");
  return DType::f32;
}();
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::i64;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;

template <class T>
struct Type {
  using type = T;
};

// Calls f(Type<T>{}) with the C++ type of `dtype`.
template <class F>
decltype(auto) with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(Type<float>{});
    case DType::f64:
      return f(Type<double>{});
    case DType::bf16:
      return f(Type<bf16>{});
    case DType::i64:
      return f(Type<std::int64_t>{});
    case DType::i32:
      return f(Type<std::int32_t>{});
    case DType::u8:
      return f(Type<std::uint8_t>{});
  }
  fail("dtype: {} is none of the six element types.", static_cast<int>(dtype));
}

}  // namespace likely

template <>
struct fmt::formatter<likely::DType> : likely::PlainFormatter {
  fmt::appender format(likely::DType dtype, format_context& context) const;
};
