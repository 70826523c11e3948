// Views are arithmetic on shapes and strides; values are copied only to and from the host.
#include "tensor/tensor.h"

#include <algorithm>
#include <optional>

#include "tensor/allocator.h"

namespace likely {
namespace {

// The elements in row-major order, whatever the strides.
template <class T>
void gather(const Tensor& tensor, T* to) {
  const T* from = tensor.data<T>();
  std::array<std::int64_t, Shape::max_rank> at{};
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    std::int64_t position = 0;
    for (int axis = 0; axis < tensor.rank(); ++axis)
      position += at[axis] * tensor.strides()[axis];
    to[i] = from[position];
    for (int axis = tensor.rank() - 1; axis >= 0 && ++at[axis] == tensor.size(axis); --axis)
      at[axis] = 0;
  }
}

// The wanted shape with the extent that an open one, -1, must have.
Shape completed(const Shape& wanted, const Tensor& tensor) {
  const auto* const open = std::ranges::find(wanted, -1);
  if (open == wanted.end())
    return wanted;
  require(std::ranges::count(wanted, -1) == 1, "reshape: more than one -1 in {}.", wanted);
  const int at = static_cast<int>(open - wanted.begin());
  const std::int64_t known = wanted.with(at, 1).numel();
  require(known > 0 && tensor.numel() % known == 0, "reshape: {} does not divide into {}.",
          tensor.shape(), wanted);
  return wanted.with(at, tensor.numel() / known);
}

// Walks both shapes from the right: a group of old axes that lie without gaps may be cut anew.
// Nothing where an extent of the new shape would reach over a gap.
std::optional<Strides> strides_of_reshaped(const Tensor& tensor, const Shape& shape) {
  const Shape& old = tensor.shape();
  const Strides& old_strides = tensor.strides();
  Strides strides = Shape::filled(shape.rank(), 1);
  int to = shape.rank() - 1;
  for (int from = old.rank() - 1; from >= 0; --from) {
    std::int64_t group = old[from], stride = old_strides[from], cut = 1;
    for (;
         from > 0 && (old[from - 1] == 1 || group == 1 || old_strides[from - 1] == stride * group);
         --from) {
      if (group == 1)
        stride = old_strides[from - 1];
      group *= old[from - 1];
    }
    for (; to >= 0 && cut < group; --to) {
      strides[to] = stride * cut;
      cut *= shape[to];
    }
    if (cut != group)
      return std::nullopt;
  }
  return strides;
}

}  // namespace

Storage::Storage(std::size_t bytes, Device device)
    : data_(allocator_of(device).allocate(bytes)), bytes_(bytes), device_(device) {}

Storage::~Storage() { allocator_of(device_).release(data_, bytes_); }

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor result;
  result.numel_ = shape.numel();
  const auto bytes = checked_bytes(shape, size_of(dtype));
  require<OutOfMemory>(bytes.has_value(), "tensor: {} {} elements do not fit any memory.", shape,
                       dtype);
  result.shape_ = shape;
  result.strides_ = row_major(shape);
  result.dtype_ = dtype;
  result.storage_ = std::make_shared<Storage>(*bytes, device);
  return result;
}

Tensor Tensor::with(const Shape& shape, const Strides& strides, std::int64_t offset) const {
  Tensor result = *this;
  result.shape_ = shape;
  result.strides_ = strides;
  result.offset_ = offset;
  result.numel_ = shape.numel();
  return result;
}

bool Tensor::contiguous() const {
  std::int64_t expected = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != expected)
      return numel_ == 0;
    expected *= shape_[i];
  }
  return true;
}

int Tensor::axis(const char* operation, int axis) const {
  require(axis >= -rank() && axis < rank(),
          "{}: there is no axis {} in {}. Axes run from {} to {}.", operation, axis, shape_,
          -rank(), rank() - 1);
  return axis < 0 ? axis + rank() : axis;
}

Tensor Tensor::reshape(const Shape& wanted) const {
  const Shape shape = completed(wanted, *this);
  require(shape.numel() == numel_, "reshape: {} has {} elements, {} has {}.", shape_, numel_,
          wanted, shape.numel());
  if (contiguous())
    return with(shape, row_major(shape), offset_);
  const auto strides = strides_of_reshaped(*this, shape);
  require(
      strides.has_value(),
      "reshape: {} with strides {} cannot be seen as {} without a copy. Use contiguous() first.",
      shape_, strides_, wanted);
  return with(shape, *strides, offset_);
}

Tensor Tensor::transpose(int a, int b) const {
  const int x = axis("transpose", a), y = axis("transpose", b);
  Shape shape = shape_;
  Strides strides = strides_;
  std::swap(shape[x], shape[y]);
  std::swap(strides[x], strides[y]);
  return with(shape, strides, offset_);
}

Tensor Tensor::permute(const std::vector<int>& axes) const {
  require(static_cast<int>(axes.size()) == rank(), "permute: {} axes for a tensor of shape {}.",
          axes.size(), shape_);
  Shape shape;
  Strides strides;
  unsigned seen = 0;
  for (const int given : axes) {
    const int at = axis("permute", given);
    require(!(seen >> at & 1), "permute: axis {} is named twice.", given);
    seen |= 1u << at;
    shape.push_back(shape_[at]);
    strides.push_back(strides_[at]);
  }
  return with(shape, strides, offset_);
}

Tensor Tensor::slice(int given, std::int64_t begin, std::int64_t end, std::int64_t step) const {
  const int at = axis("slice", given);
  require(step > 0 && begin >= 0 && begin <= end && end <= shape_[at],
          "slice: [{}, {}) in steps of {} does not lie in axis {} of {}.", begin, end, step, given,
          shape_);
  const std::int64_t count = (end - begin) / step + ((end - begin) % step != 0);
  return with(shape_.with(at, count),
              strides_.with(at, count > 1 ? strides_[at] * step : strides_[at]),
              offset_ + begin * strides_[at]);
}

Tensor Tensor::expand(const Shape& shape) const {
  require(shape.rank() >= rank(), "expand: {} has more axes than {}.", shape_, shape);
  Strides strides = Shape::filled(shape.rank(), 0);
  for (int i = 1; i <= rank(); ++i) {
    require(shape_[-i] == shape[-i] || shape_[-i] == 1,
            "expand: {} does not stretch to {}: only extents of 1 do.", shape_, shape);
    if (shape_[-i] == shape[-i])
      strides[-i] = strides_[-i];
  }
  return with(shape, strides, offset_);
}

Tensor Tensor::squeeze(int given) const {
  const int at = axis("squeeze", given);
  require(shape_[at] == 1, "squeeze: axis {} of {} has not the extent 1.", given, shape_);
  return with(shape_.without(at), strides_.without(at), offset_);
}

Tensor Tensor::unsqueeze(int at) const {
  return with(shape_.inserted(at, 1), strides_.inserted(at, 1), offset_);
}

Tensor Tensor::view(const Shape& shape, const Strides& strides, std::int64_t offset) const {
  require(defined(), "view: the tensor is undefined.");
  require(shape.rank() == strides.rank(), "view: {} axes with {} strides.", shape, strides);
  const std::int64_t size = static_cast<std::int64_t>(size_of(dtype_));
  const auto elements = static_cast<std::int64_t>(storage_->bytes()) / size;
  std::int64_t low = offset, high = offset, reach, bytes;
  bool overflows = false;  // refused without elements too: a view's slices compute with strides
  for (int i = 0; i < shape.rank(); ++i) {
    const std::int64_t steps = std::max<std::int64_t>(shape[i], 1) - 1;
    std::int64_t& end = strides[i] < 0 ? low : high;
    overflows |= __builtin_mul_overflow(strides[i], steps, &reach) ||
                 __builtin_add_overflow(end, reach, &end);
  }
  overflows |=
      __builtin_mul_overflow(low, size, &bytes) || __builtin_mul_overflow(high, size, &bytes);
  require(!overflows && (shape.numel() == 0 || (low >= 0 && high < elements)),
          "view: {} with strides {} from {} leaves its storage of {} elements.", shape, strides,
          offset, elements);
  return with(shape, strides, offset);
}

void* Tensor::raw() const {
  require(defined(), "tensor: the tensor is undefined.");
  require(!is_meta(), "tensor: a meta tensor has a shape and no values.");
  return static_cast<std::byte*>(storage_->data()) +
         offset_ * static_cast<std::int64_t>(size_of(dtype_));
}

template <class T>
T Tensor::item() const {
  require(numel_ == 1, "item: a tensor of shape {} has not one element.", shape_);
  return with_type(dtype_, [&]<class U>(Type<U>) {
    U value;
    memory_of(device()).copy(device().index, &value, raw(), sizeof value);
    if constexpr (std::is_same_v<U, bf16>)
      return static_cast<T>(static_cast<float>(value));
    else
      return static_cast<T>(value);
  });
}
template float Tensor::item<float>() const;
template double Tensor::item<double>() const;
template std::int64_t Tensor::item<std::int64_t>() const;

template <class T>
std::vector<T> Tensor::to_vector() const {
  require(dtype_ == dtype_of<T>, "to_vector: asked for {} elements of a {} tensor.", dtype_of<T>,
          dtype_);
  std::vector<T> values(static_cast<std::size_t>(numel_));
  copy_to_host(values.data());
  return values;
}
template std::vector<float> Tensor::to_vector<float>() const;
template std::vector<double> Tensor::to_vector<double>() const;
template std::vector<bf16> Tensor::to_vector<bf16>() const;
template std::vector<std::int64_t> Tensor::to_vector<std::int64_t>() const;
template std::vector<std::int32_t> Tensor::to_vector<std::int32_t>() const;
template std::vector<std::uint8_t> Tensor::to_vector<std::uint8_t>() const;

void Tensor::copy_to_host(void* values) const {
  const void* from = raw();
  if (numel_ == 0)
    return;
  if (contiguous())
    return memory_of(device()).copy(device().index, values, from, bytes());
  require(device() == Device::cpu,
          "copy_to_host: {} with strides {} on {} is not contiguous. Use contiguous() first.",
          shape_, strides_, device());
  with_type(dtype_, [&]<class T>(Type<T>) { gather(*this, static_cast<T*>(values)); });
}

void Tensor::copy_from_host(const void* values) {
  require(contiguous(), "copy_from_host: {} with strides {} is not contiguous.", shape_, strides_);
  if (numel_ > 0 && !is_meta())
    memory_of(device()).copy(device().index, raw(), values, bytes());
  storage_->written();
}

Tensor Tensor::to(Device device) const {
  if (device == this->device())
    return *this;
  require(contiguous(), "to: {} with strides {} is not contiguous. Use contiguous() first.", shape_,
          strides_);
  const Tensor result = empty(shape_, dtype_, device);
  if (numel_ > 0 && !result.is_meta()) {
    const Device side =
        device.kind == Device::cpu ? this->device() : device;  // the side that is not the host
    memory_of(side).copy(side.index, result.raw(), raw(), bytes());
  }
  return result;
}

bool Tensor::same_view(const Tensor& other) const {
  return storage_ == other.storage_ && offset_ == other.offset_ && shape_ == other.shape_ &&
         strides_ == other.strides_ && dtype_ == other.dtype_;
}

}  // namespace likely
