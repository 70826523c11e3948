// Elements of operands of any strides: where they lie, and several of them read or written by one
// instruction. What pointwise formulas, copies, gathers and random numbers share.
#pragma once
#include "kernels/cuda/device.h"
#include "kernels/cuda/launch.h"
#include "tensor/shape.h"

namespace likely::kernels::cuda {

// At least n threads; n < 2^39.
inline Grid threads_for(std::int64_t n) {
  const std::int64_t threads = n < block_threads ? (n + 31) / 32 * 32 : block_threads;
  return {dim3(static_cast<unsigned>(quotient_up(n, threads))), static_cast<int>(threads)};
}
LIKELY_DEVICE std::int64_t thread_number() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// Several operands walked together in row-major order; strides in elements. Part of a kernel's
// parameters.
template <int operands>
struct Layout {
  std::int64_t count = 1;  // of elements
  int rank = 1;            // at least 1
  std::int64_t extent[Shape::max_rank]{1};
  std::int64_t stride[operands][Shape::max_rank]{};

  explicit Layout(const Shape& shape) : count(shape.numel()), rank(shape.rank()) {
    for (int axis = 0; axis < rank; ++axis)
      extent[axis] = shape[axis];
    rank = rank > 0 ? rank : 1;
  }
  void set(int operand, const Strides& strides) {
    for (int axis = 0; axis < strides.rank(); ++axis)
      stride[operand][axis] = strides[axis];
  }

  // Whether `width` elements from every multiple of `width` on are equal or adjacent and aligned.
  // (A ragged end is left only where there is one axis.)
  bool packs(int operand, const void* data, std::size_t element_bytes, int width) const {
    const std::int64_t last = stride[operand][rank - 1];
    bool whole = rank == 1 || extent[rank - 1] % width == 0;
    if (last == 0)
      return whole;
    for (int axis = 0; axis < rank - 1; ++axis)
      whole = whole && stride[operand][axis] % width == 0;
    const std::size_t bytes = element_bytes * static_cast<std::size_t>(width);
    return whole && last == 1 &&
           reinterpret_cast<std::uintptr_t>(data) % (bytes < 16 ? bytes : 16) == 0;
  }
};

// Where element number `at` of the first `used` operands lies.
template <int used>
struct Offsets {
  std::int64_t of[used];
};
template <int used, int operands>
LIKELY_DEVICE Offsets<used> offsets_of(const Layout<operands>& layout, std::int64_t at) {
  Offsets<used> result{};
  auto rest = static_cast<std::uint64_t>(at);  // nvcc divides in 32 bits where both numbers fit
#ifdef __CUDACC__
#pragma unroll 1  // a division is long
#endif
  for (int axis = layout.rank - 1; axis >= 0; --axis) {
    const auto extent = static_cast<std::uint64_t>(layout.extent[axis]);
    const std::uint64_t outer = axis > 0 ? rest / extent : 0;
    const auto index = static_cast<std::int64_t>(rest - outer * extent);
    LIKELY_UNROLL
    for (int k = 0; k < used; ++k)
      result.of[k] += index * layout.stride[k][axis];
    rest = outer;
  }
  return result;
}

// Eight bytes or fewer by one instruction, beside wider elements that take sixteen.
template <class T, int width>
struct alignas(sizeof(T) * width) Few {
  T value[width];
};

// `count` of up to `width` elements that lie `stride` apart, 0 or 1 (any for one element). Those of
// a full read are aligned as Layout::packs says.
template <int width, class T>
LIKELY_DEVICE void read(T (&to)[width], const T* from, std::int64_t stride, int count) {
  if (width == 1 || stride == 0) {
    const T value = *from;
    LIKELY_UNROLL
    for (int j = 0; j < width; ++j)
      to[j] = value;
  } else if (count == width) {
    if constexpr (sizeof(T) * width < 16) {
      const auto few = *reinterpret_cast<const Few<T, width>*>(from);
      LIKELY_UNROLL
      for (int j = 0; j < width; ++j)
        to[j] = few.value[j];
    } else {
      constexpr int size = Pack<T>::size;
      LIKELY_UNROLL
      for (int begin = 0; begin < width; begin += size) {
        const Pack<T> pack = load16(from + begin);
        LIKELY_UNROLL
        for (int j = 0; j < size; ++j)
          to[begin + j] = pack.value[j];
      }
    }
  } else {
    LIKELY_UNROLL
    for (int j = 0; j < width; ++j)
      to[j] = j < count ? from[j] : T();
  }
}
template <int width, class T>
LIKELY_DEVICE void write(T* to, const T (&from)[width], int count) {
  if constexpr (width == 1) {
    *to = from[0];
  } else if (count == width) {
    if constexpr (sizeof(T) * width < 16) {
      Few<T, width> few;
      LIKELY_UNROLL
      for (int j = 0; j < width; ++j)
        few.value[j] = from[j];
      *reinterpret_cast<Few<T, width>*>(to) = few;
    } else {
      constexpr int size = Pack<T>::size;
      LIKELY_UNROLL
      for (int begin = 0; begin < width; begin += size) {
        Pack<T> pack;
        LIKELY_UNROLL
        for (int j = 0; j < size; ++j)
          pack.value[j] = from[begin + j];
        store16(to + begin, pack);
      }
    }
  } else {
    LIKELY_UNROLL
    for (int j = 0; j < width; ++j)
      if (j < count)
        to[j] = from[j];
  }
}

}  // namespace likely::kernels::cuda
