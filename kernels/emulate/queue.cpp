// The calls of the runtime that are about order: launches, streams, events, graphs, errors.
#include <chrono>
#include <map>
#include <string>

#include "kernels/emulate/call.h"
#include "kernels/emulate/launch.h"
#include "kernels/emulate/profile.h"

namespace emulate = likely::kernels::emulate;
using emulate::call;
using emulate::refuse;
using emulate::streams;

namespace {

// Of this host thread.
thread_local cudaError_t latest = cudaSuccess;
thread_local std::map<cudaError_t, std::string> whys;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class T>
T& there(T* handle, const char* what) {
  if (!handle)
    refuse(cudaErrorInvalidResourceHandle, "no {}: the handle is null", what);
  return *handle;
}

}  // namespace

namespace likely::kernels::emulate {

cudaError_t answer(cudaError_t code, const char* why) {
  whys[code] = why;
  return latest = code;
}

cudaError_t enqueue(Launch launch, cudaStream_t stream) {
  return call([&] {
    check(launch);
    streams().submit(stream, [launch = std::move(launch)] { run(launch); });
  });
}

}  // namespace likely::kernels::emulate

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define LIKELY_NAME(name) \
  case name:              \
    return #name;
    LIKELY_NAME(cudaSuccess)
    LIKELY_NAME(cudaErrorInvalidValue)
    LIKELY_NAME(cudaErrorMemoryAllocation)
    LIKELY_NAME(cudaErrorInvalidConfiguration)
    LIKELY_NAME(cudaErrorInvalidMemcpyDirection)
    LIKELY_NAME(cudaErrorInvalidDevice)
    LIKELY_NAME(cudaErrorInvalidResourceHandle)
    LIKELY_NAME(cudaErrorIllegalState)
    LIKELY_NAME(cudaErrorNotReady)
    LIKELY_NAME(cudaErrorLaunchFailure)
    LIKELY_NAME(cudaErrorStreamCaptureUnsupported)
    LIKELY_NAME(cudaErrorStreamCaptureInvalidated)
#undef LIKELY_NAME
  }
  return "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
  const auto found = whys.find(error);
  return found == whys.end() ? cudaGetErrorName(error) : found->second.c_str();
}
cudaError_t cudaGetLastError() { return std::exchange(latest, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return latest; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return call([&] { *stream = streams().create(); });
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call([&] { streams().destroy(&there(stream, "stream")); });
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return call([&] {
    streams().forbid_in_capture(stream, "cudaStreamSynchronize");
    streams().run(stream);
  });
}
cudaError_t cudaDeviceSynchronize() {
  return call([&] {
    streams().forbid_in_capture("cudaDeviceSynchronize");
    streams().run_all();
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call([&] {
    streams().forbid_in_capture(stream, "cudaEventRecord");
    const CUstream_st& queue = streams().at(stream);
    auto record = std::make_shared<CUevent_st::Record>(
        CUevent_st::Record{stream, queue.done + queue.work.size()});
    there(event, "event").record = record;
    streams().submit(stream, [record] { record->seconds = seconds(); });
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call([&] {
    if (const auto record = there(event, "event").record)
      streams().run_to(*record);
  });
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call([&] {
    if (const auto record = there(event, "event").record; record && record->seconds < 0)
      refuse(cudaErrorNotReady, "cudaEventQuery: the event has not been reached");
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return call([&] {
    streams().forbid_in_capture(stream, "cudaStreamWaitEvent");
    if (const auto record = there(event, "event").record)
      streams().submit(stream, [record] { streams().run_to(*record); });
  });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call([&] {
    const auto first = there(start, "event").record, last = there(end, "event").record;
    if (!first || !last)
      refuse(cudaErrorInvalidResourceHandle, "cudaEventElapsedTime: an event was never recorded");
    if (first->seconds < 0 || last->seconds < 0)
      refuse(cudaErrorNotReady, "cudaEventElapsedTime: an event has not been reached");
    *milliseconds = static_cast<float>(1e3 * (last->seconds - first->seconds));
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return call([&] {
    CUstream_st& queue = streams().at(&there(stream, "stream that can be captured"));
    if (queue.capturing)
      refuse(cudaErrorIllegalState, "cudaStreamBeginCapture: the stream is being captured");
    queue.capturing = std::make_unique<CUgraph_st>();
    queue.mode = mode;
    queue.invalidated = false;
  });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return call([&] {
    *graph = nullptr;
    CUstream_st& queue = streams().at(stream);
    if (!queue.capturing)
      refuse(cudaErrorIllegalState, "cudaStreamEndCapture: the stream is not being captured");
    const auto captured = std::exchange(queue.capturing, nullptr);
    if (queue.invalidated)
      refuse(cudaErrorStreamCaptureInvalidated,
             "cudaStreamEndCapture: a call in between could not be captured");
    *graph = new CUgraph_st(*captured);
  });
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  return call([&] {
    *executable = new CUgraphExec_st{std::make_shared<const CUgraph_st>(there(graph, "graph"))};
  });
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call([&] {
    streams().submit(stream, [graph = there(executable, "executable graph").graph] {
      for (const EmulatedWork& work : graph->work)
        work();
    });
  });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
