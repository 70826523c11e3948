// Shape: up to eight extents by value, and arithmetic on sizes that refuses to overflow.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "tensor/error.h"

namespace likely {

// a * b and a + b, or nothing where the result does not fit: sizes read from files go through
// these.
inline std::optional<std::uint64_t> checked_product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result;
  return __builtin_mul_overflow(a, b, &result) ? std::nullopt : std::optional(result);
}
inline std::optional<std::uint64_t> checked_sum(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result;
  return __builtin_add_overflow(a, b, &result) ? std::nullopt : std::optional(result);
}

// A short list of extents or strides. Negative positions count from the end: shape[-1] is the last.
class Shape {
 public:
  static constexpr int max_rank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) {
    for (const std::int64_t extent : extents)
      push_back(extent);
  }
  static Shape filled(int rank, std::int64_t extent);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return extents_[position(axis)]; }
  std::int64_t& operator[](int axis) { return extents_[position(axis)]; }
  const std::int64_t* begin() const { return extents_.data(); }
  const std::int64_t* end() const { return extents_.data() + rank_; }
  void push_back(std::int64_t extent);
  Shape with(int axis, std::int64_t extent) const;      // the same but for one extent
  Shape without(int axis) const;                        // one axis fewer
  Shape inserted(int axis, std::int64_t extent) const;  // one axis more, before `axis`
  std::int64_t numel() const;  // 1 for rank 0; throws as checked_bytes refuses
  bool operator==(const Shape& other) const;

 private:
  int position(int axis) const;

  std::array<std::int64_t, max_rank> extents_{};
  int rank_ = 0;
};
using Strides = Shape;

// The shape that both broadcast to, right-aligned, extents of 1 stretched; throws naming
// `operation`.
Shape broadcast(const char* operation, const Shape& a, const Shape& b);

// Bytes of a tensor whose elements have `element_bytes`, or nothing where they, its extents of 0
// taken as 1, do not fit an i64: then no stride or offset of it overflows either.
std::optional<std::uint64_t> checked_bytes(const Shape& shape, std::size_t element_bytes);

// Strides, in elements, of a row-major tensor without gaps.
Strides row_major(const Shape& shape);

}  // namespace likely

template <>
struct fmt::formatter<likely::Shape> : likely::PlainFormatter {
  fmt::appender format(const likely::Shape& shape, format_context& context) const;
};
