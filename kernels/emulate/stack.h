// Machine stacks for CUDA threads, and the switch from one to another (Boost.Context).
#pragma once
#include <cstddef>
#include <memory>

namespace likely::kernels::emulate {

class Stack {
 public:
  Stack() = default;  // the caller's own
  explicit Stack(int number);
  Stack(const Stack&) = delete;
  ~Stack();

  // Begins at `entry` when it is next switched to, which must not return. What lay on it is
  // forgotten.
  void restart(void (*entry)());

  // This stack goes on where it was left; returns when somebody switches back.
  static void go(Stack& from, Stack& to);

 private:
  struct Start;

  std::byte* memory_ = nullptr;  // behind a page that nobody may touch
  void* context_ = nullptr;
  void* fake_ = nullptr;  // AddressSanitizer's
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
  void (*entry_)() = nullptr;
  int number_ = 0;
};

}  // namespace likely::kernels::emulate
