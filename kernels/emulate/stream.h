// Streams: queues of work that runs where the host waits for it; events, which mark places in them;
// graphs, which are work kept for later.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/emulate/engine.h"
#include "kernels/emulate/runtime.h"

using EmulatedWork = std::function<void()>;

struct CUgraph_st {
  std::vector<EmulatedWork> work;
};
struct CUgraphExec_st {
  std::shared_ptr<const CUgraph_st> graph;
};

struct CUstream_st {
  std::deque<EmulatedWork> work;
  std::uint64_t done = 0;                 // pieces of work that are over
  std::unique_ptr<CUgraph_st> capturing;  // where work goes instead, during a capture
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  bool invalidated = false;  // the capture, by a call that it cannot hold
};

struct CUevent_st {
  struct Record {
    cudaStream_t stream;
    std::uint64_t position;  // pieces of work before it
    double seconds = -1;     // when it was reached
  };
  std::shared_ptr<Record> record;  // the latest
};

namespace likely::kernels::emulate {

// What a call of the runtime answers instead of cudaSuccess, and why.
struct Refused : Error {
  Refused(cudaError_t code, const std::string& why) : Error(why), code(code) {}
  cudaError_t code;
};
template <class... Arguments>
[[noreturn]] void refuse(cudaError_t code, fmt::format_string<Arguments...> why,
                         Arguments&&... arguments) {
  throw Refused(code, fmt::format(why, std::forward<Arguments>(arguments)...));
}

// The device's streams. Callers hold the mutex.
class Streams {
 public:
  std::mutex mutex;

  cudaStream_t create();
  void destroy(cudaStream_t stream);
  CUstream_st& at(cudaStream_t stream);  // null is the default stream

  void submit(cudaStream_t stream, EmulatedWork work);
  void run(cudaStream_t stream);  // all that is queued there, and what that waits for
  void run_all();
  void run_to(const CUevent_st::Record& record);

  void forbid_in_capture(const char* call);  // throws, and invalidates the captures
  void forbid_in_capture(cudaStream_t stream, const char* call);

 private:
  void run(CUstream_st& stream, std::uint64_t until);
  void drop_all();

  CUstream_st default_;
  std::list<CUstream_st> made_;
};
Streams& streams();

}  // namespace likely::kernels::emulate
