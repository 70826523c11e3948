// Stacks: mapped memory, and Boost.Context's jump.
#include "kernels/emulate/stack.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <new>

#include "kernels/emulate/sanitizers.h"

namespace likely::kernels::emulate {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t stack_bytes = (sanitized ? 256 : 64) * std::size_t{1024};

}  // namespace

using boost::context::detail::transfer_t;

// The data of a jump is the stack that was left.
struct Stack::Start {
  LIKELY_SWITCHES static void arrived(Stack& here, transfer_t transfer) {
    Stack& from = *static_cast<Stack*>(transfer.data);
    from.context_ = transfer.fctx;
    enter_stack(here.fake_, &from.bottom_, &from.size_);
  }
  LIKELY_SWITCHES static void first(transfer_t transfer) {
    Stack& here = *current;
    arrived(here, transfer);
    here.entry_();
  }
  static Stack* current;  // the one that is switched to
};
Stack* Stack::Start::current = nullptr;

Stack::Stack(int number) : size_(stack_bytes), number_(number) {
  void* memory = mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw std::bad_alloc();
  mprotect(memory, page, PROT_NONE);
  memory_ = static_cast<std::byte*>(memory);
  bottom_ = memory_ + page;
}

Stack::~Stack() {
  if (!memory_)
    return;
  permit(bottom_, size_);
  munmap(memory_, page + stack_bytes);
}

void Stack::restart(void (*entry)()) {
  bottom_ = memory_ + page;
  size_ = stack_bytes;
  permit(bottom_, size_);
  fake_ = nullptr;
  entry_ = entry;
  // Tops at one offset of their pages would all want the same lines of the cache.
  const std::size_t shift = number_ % 32 * 512;
  context_ = boost::context::detail::make_fcontext(memory_ + page + size_ - shift, size_ - shift,
                                                   Start::first);
}

LIKELY_SWITCHES void Stack::go(Stack& from, Stack& to) {
  Start::current = &to;
  leave_stack(&from.fake_, to.bottom_, to.size_);
  Start::arrived(from, boost::context::detail::jump_fcontext(to.context_, &from));
}

}  // namespace likely::kernels::emulate
