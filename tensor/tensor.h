// Tensor: a handle by value on reference-counted storage, with shape, strides, offset, type and
// device.
#pragma once
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "tensor/device.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace likely {

// A block of memory of one device. Its version counts the times it was written after it was made,
// so that a gradient that needs the old content can notice (autograd) and packed copies can be
// refreshed.
class Storage {
 public:
  Storage(std::size_t bytes, Device device);
  Storage(const Storage&) = delete;
  ~Storage();

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  std::uint64_t version() const { return version_; }
  void written() { ++version_; }

 private:
  void* data_;
  std::size_t bytes_;
  Device device_;
  std::uint64_t version_ = 0;
};

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage

  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = {});
  static Tensor empty_like(const Tensor& other) {
    return empty(other.shape(), other.dtype(), other.device());
  }
  template <class T>
  static Tensor of(const Shape& shape, std::span<const T> values, Device device = {});
  template <class T>
  static Tensor of(const Shape& shape, const std::vector<T>& values, Device device = {}) {
    return of(shape, std::span<const T>(values), device);
  }
  template <class T>
  static Tensor scalar(T value, Device device = {}) {
    return of(Shape{}, std::span<const T>(&value, 1), device);
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }  // in elements
  std::int64_t offset() const { return offset_; }      // in elements
  DType dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device() : Device{}; }
  bool is_meta() const { return device().kind == Device::meta; }
  int rank() const { return shape_.rank(); }
  std::int64_t size(int axis) const { return shape_[axis]; }
  std::int64_t numel() const { return numel_; }
  std::size_t bytes() const { return static_cast<std::size_t>(numel_) * size_of(dtype_); }
  bool contiguous() const;  // row-major without gaps; extents of 1 may have any stride
  int axis(const char* operation, int axis) const;  // counted from 0; throws naming `operation`

  // Views: the same storage, never a copy.
  Tensor reshape(
      const Shape& shape) const;  // one extent may be -1; throws where strides forbid a view
  Tensor transpose(int a = -2, int b = -1) const;
  Tensor permute(const std::vector<int>& axes) const;
  Tensor slice(int axis, std::int64_t begin, std::int64_t end, std::int64_t step = 1) const;
  Tensor expand(const Shape& shape) const;  // extents of 1 stretched, axes added on the left
  Tensor squeeze(int axis) const;           // drops an axis of extent 1
  Tensor unsqueeze(int axis) const;         // adds one before `axis`
  Tensor view(const Shape& shape, const Strides& strides,
              std::int64_t offset) const;  // checked against the storage

  // Element pointers, the offset applied. On `meta` there is nothing to read: data<T>() throws.
  template <class T>
  T* data() const {
    require(dtype_ == dtype_of<T>, "tensor: asked for {} elements of a {} tensor.", dtype_of<T>,
            dtype_);
    return static_cast<T*>(raw());
  }
  void* raw() const;

  template <class T>
  T item() const;  // the only element, as T whatever the type; copies from the device
  template <class T>
  std::vector<T> to_vector() const;  // all elements in row-major order, of the tensor's own type
  void copy_to_host(void* values) const;    // the same into given memory
  void copy_from_host(const void* values);  // contiguous tensors only; counts as a write
  Tensor to(Device device) const;  // contiguous copy; the tensor itself where it is there already

  const std::shared_ptr<Storage>& storage() const { return storage_; }
  std::uint64_t version() const { return storage_ ? storage_->version() : 0; }
  bool same_view(const Tensor& other) const;  // the same elements of the same storage

 private:
  Tensor with(const Shape& shape, const Strides& strides, std::int64_t offset) const;

  std::shared_ptr<Storage> storage_;
  Shape shape_{0};
  Strides strides_{1};
  std::int64_t offset_ = 0;
  std::int64_t numel_ = 0;
  DType dtype_ = DType::f32;
};
using Tensors = std::vector<Tensor>;

template <class T>
Tensor Tensor::of(const Shape& shape, std::span<const T> values, Device device) {
  require(shape.numel() == static_cast<std::int64_t>(values.size()),
          "tensor: {} values do not fill the shape {}.", values.size(), shape);
  Tensor result = empty(shape, dtype_of<T>, device);
  if (!values.empty() && !result.is_meta())
    memory_of(device).copy(device.index, result.raw(), values.data(), values.size_bytes());
  return result;
}

}  // namespace likely
