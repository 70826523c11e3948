// What the tests of file formats share: bytes from text, errors' messages, tensors of every type.
#pragma once
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/file.h"

namespace likely {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_from(std::string_view text) {
  Bytes bytes(text.size());
  if (!text.empty())
    std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

// The low bytes of a number, little endian.
inline std::string number(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i)
    text += static_cast<char>(value >> 8 * i & 0xff);
  return text;
}

template <class F>
std::string message(F f) {
  try {
    f();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

// 1, 2, 3, … as bytes of any type would lie in memory.
inline Tensor sample(const Shape& shape, DType dtype) {
  Tensor tensor = Tensor::empty(shape, dtype);
  with_type(dtype, [&]<class T>(Type<T>) {
    for (std::int64_t i = 0; i < tensor.numel(); ++i)
      if constexpr (is_floating(dtype_of<T>))
        tensor.data<T>()[i] = T(static_cast<float>(i) + 0.5f);
      else
        tensor.data<T>()[i] = static_cast<T>(i + 1);
  });
  return tensor;
}

inline Bytes elements(const Tensor& tensor) {
  Bytes bytes(tensor.bytes());
  tensor.copy_to_host(bytes.data());
  return bytes;
}

inline void check_same(const Tensor& a, const Tensor& b) {
  CHECK(a.dtype() == b.dtype());
  CHECK(a.shape() == b.shape());
  CHECK(elements(a) == elements(b));
}

// Every truncation and every single-byte change of a file is read or refused with a DataError; any
// other end of `read` is a failure. Returns how many were refused.
template <class Read>
std::size_t read_damaged(const Bytes& whole, Read read) {
  std::size_t refused = 0;
  const auto attempt = [&](const Bytes& bytes) {
    try {
      read(bytes);
    } catch (const DataError&) {
      ++refused;
    }
  };
  for (std::size_t length = 0; length < whole.size(); ++length)
    attempt(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int change = 1; change < 256; ++change) {
      Bytes bytes = whole;
      bytes[at] ^= static_cast<std::byte>(change);
      attempt(bytes);
    }
  return refused;
}

}  // namespace likely
