// Extents, broadcasting, and products of sizes that refuse to overflow.
#include "tensor/shape.h"

#include <algorithm>
#include <limits>

namespace likely {

Shape Shape::filled(int rank, std::int64_t extent) {
  Shape shape;
  for (int i = 0; i < rank; ++i)
    shape.push_back(extent);
  return shape;
}

int Shape::position(int axis) const {
  const int at = axis < 0 ? axis + rank_ : axis;
  require(at >= 0 && at < rank_, "shape: there is no axis {} in {}. Axes run from {} to {}.", axis,
          *this, -rank_, rank_ - 1);
  return at;
}

void Shape::push_back(std::int64_t extent) {
  require(rank_ < max_rank, "shape: more than {} axes: {} and {}. Join some of them.", max_rank,
          *this, extent);
  extents_[rank_++] = extent;
}

Shape Shape::with(int axis, std::int64_t extent) const {
  Shape result = *this;
  result[axis] = extent;
  return result;
}

Shape Shape::without(int axis) const {
  const int at = position(axis);
  Shape result;
  for (int i = 0; i < rank_; ++i)
    if (i != at)
      result.push_back(extents_[i]);
  return result;
}

Shape Shape::inserted(int axis, std::int64_t extent) const {
  const int at = axis < 0 ? axis + rank_ + 1 : axis;
  require(at >= 0 && at <= rank_, "shape: cannot insert an axis at {} into {}.", axis, *this);
  Shape result;
  for (int i = 0; i <= rank_; ++i) {
    if (i == at)
      result.push_back(extent);
    if (i < rank_)
      result.push_back(extents_[i]);
  }
  return result;
}

std::int64_t Shape::numel() const {
  for (const std::int64_t extent : *this)
    require(extent >= 0, "shape: a negative extent in {}.", *this);
  const auto elements = checked_bytes(*this, 1);
  require(elements.has_value(), "shape: {} has more elements than 63 bits can count.", *this);
  return static_cast<std::int64_t>(*elements);
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

Shape broadcast(const char* operation, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape result = Shape::filled(rank, 1);
  for (int i = 1; i <= rank; ++i) {
    const std::int64_t x = i <= a.rank() ? a[-i] : 1;
    const std::int64_t y = i <= b.rank() ? b[-i] : 1;
    require(x == y || x == 1 || y == 1,
            "{}: shapes do not broadcast: {} and {}. Counted from the right, extents must be equal "
            "or 1.",
            operation, a, b);
    result[-i] = x == 1 ? y : x;
  }
  return result;
}

std::optional<std::uint64_t> checked_bytes(const Shape& shape, std::size_t element_bytes) {
  std::optional<std::uint64_t> bytes = element_bytes;
  bool none = false;
  for (const std::int64_t extent : shape) {
    none |= extent == 0;
    bytes = checked_product(*bytes, std::max<std::uint64_t>(static_cast<std::uint64_t>(extent), 1));
    if (!bytes || *bytes > std::numeric_limits<std::int64_t>::max())
      return std::nullopt;
  }
  return none ? 0 : bytes;
}

Strides row_major(const Shape& shape) {
  Strides strides = Shape::filled(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * std::max<std::int64_t>(shape[i + 1], 1);
  return strides;
}

}  // namespace likely

fmt::appender fmt::formatter<likely::Shape>::format(const likely::Shape& shape,
                                                    format_context& context) const {
  std::string text = "[";
  for (const std::int64_t extent : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return write(text + ']', context);
}
