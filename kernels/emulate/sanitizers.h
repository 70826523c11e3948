// What the sanitizers are told about stacks that change hands, memory that is not to be touched,
// and the order that CUDA gives to threads. A plain build has none of it.
#pragma once
#include <cstddef>
#include <string>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_ignore_thread_begin();
extern "C" void __tsan_ignore_thread_end();
// For functions that are entered on one fiber and left on another.
#define LIKELY_SWITCHES __attribute__((no_sanitize("thread")))
#else
#define LIKELY_SWITCHES
#endif

namespace likely::kernels::emulate {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

#ifdef __SANITIZE_ADDRESS__
inline void leave_stack(void** fake, const void* bottom, std::size_t size) {
  __sanitizer_start_switch_fiber(fake, bottom, size);
}
inline void enter_stack(void* fake, const void** bottom, std::size_t* size) {
  __sanitizer_finish_switch_fiber(fake, bottom, size);
}
inline void forbid(const void* memory, std::size_t size) {
  __asan_poison_memory_region(memory, size);
}
inline void permit(const void* memory, std::size_t size) {
  __asan_unpoison_memory_region(memory, size);
}
#else
inline void leave_stack(void**, const void*, std::size_t) {}
inline void enter_stack(void*, const void**, std::size_t*) {}
inline void forbid(const void*, std::size_t) {}
inline void permit(const void*, std::size_t) {}
#endif

// ThreadSanitizer's idea of a thread: one for each CUDA thread of a block, reused by every block.
// The engine's own doings are ignored while a launch runs.
#ifdef __SANITIZE_THREAD__
using Fiber = void*;
inline Fiber make_fiber(int thread) {
  const Fiber fiber = __tsan_create_fiber(0);
  __tsan_set_fiber_name(fiber, ("CUDA thread " + std::to_string(thread)).c_str());
  return fiber;
}
inline void destroy(Fiber fiber) { __tsan_destroy_fiber(fiber); }
inline Fiber this_fiber() { return __tsan_get_current_fiber(); }
LIKELY_SWITCHES inline void go_on_as(Fiber fiber) {
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
}
inline void ignore_begin() { __tsan_ignore_thread_begin(); }
inline void ignore_end() { __tsan_ignore_thread_end(); }
inline void before(void* token) { __tsan_release(token); }
inline void after(void* token) { __tsan_acquire(token); }
#else
struct Fiber {};
inline Fiber make_fiber(int) { return {}; }
inline void destroy(Fiber) {}
inline Fiber this_fiber() { return {}; }
inline void go_on_as(Fiber) {}
inline void ignore_begin() {}
inline void ignore_end() {}
inline void before(void*) {}
inline void after(void*) {}
#endif

}  // namespace likely::kernels::emulate
