// Device: where memory lies, and the table of raw operations that a kind of device brings.
#pragma once
#include <cstddef>
#include <string>

#include "tensor/error.h"

namespace likely {

// `meta` has shapes and no memory: a computation on it allocates the same blocks in the same order
// as the device it stands for, so that its peak is known before the first byte is touched.
struct Device {
  enum Kind : unsigned char { cpu, cuda, meta };
  Kind kind = cpu;
  int index = 0;

  Device() = default;
  Device(Kind kind, int index = 0) : kind(kind), index(index) {}
  bool operator==(const Device&) const = default;
  std::string name() const;  // "cpu", "cuda:0", "meta"
};

// Raw operations of one kind of device. `allocate` returns null when there is no memory left.
struct Memory {
  void* (*allocate)(int index, std::size_t bytes);
  void (*release)(int index, void* block, std::size_t bytes);
  void (*copy)(int index, void* to, const void* from,
               std::size_t bytes);  // either side may be host memory
  // Where memory is watched: a block of `size` bytes is handed out for `bytes`, and comes back.
  void (*opened)(int index, void* block, std::size_t size, std::size_t bytes) = nullptr;
  void (*closed)(int index, void* block, std::size_t size) = nullptr;
};

void register_memory(Device::Kind kind, const Memory& memory);
const Memory& memory_of(Device device);  // throws where no such device was registered

}  // namespace likely

template <>
struct fmt::formatter<likely::Device> : likely::PlainFormatter {
  fmt::appender format(likely::Device device, format_context& context) const;
};
