// parallel_for: all CPU parallelism goes through here. Chunks depend on n and grain only, never on
// threads.
#pragma once
#include <cstdint>

namespace likely::kernels {

// A reference to a callable void(begin, end): lives as long as the call.
class ChunkFunction {
 public:
  template <class F>
  ChunkFunction(const F& f)
      : object_(&f), call_([](const void* o, std::int64_t b, std::int64_t e) {
          (*static_cast<const F*>(o))(b, e);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end) const { call_(object_, begin, end); }

 private:
  const void* object_;
  void (*call_)(const void*, std::int64_t, std::int64_t);
};

// Calls f(begin, end) for [0, grain), [grain, 2 grain), … up to n, in any order, on up to threads()
// threads. An exception from f is rethrown here. A nested call runs on its own thread alone.
void parallel_for(std::int64_t n, std::int64_t grain, ChunkFunction f);

int threads();
void set_threads(int count);  // 1 or more
int thread_index();  // 0 … threads() - 1 inside parallel_for, else 0: for per-thread workspace

}  // namespace likely::kernels
