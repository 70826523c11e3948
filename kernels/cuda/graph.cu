// Graphs on CUDA, by capture of the device's stream; and pinned places that it writes to.
#include "kernels/cuda/launch.h"
#include "kernels/graph.h"

namespace likely::kernels::cuda {
namespace {

cudaStream_t stream_of(int index) {
  set_current_device({Device::cuda, index});
  return stream();
}

void begin(int index) {
  check(cudaStreamBeginCapture(stream_of(index), cudaStreamCaptureModeThreadLocal),
        "graph: beginning to record");
}

void* end(int index, std::string& problem) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cudaError_t status = cudaStreamEndCapture(stream_of(index), &graph);
  if (status == cudaSuccess)
    status = cudaGraphInstantiate(&executable, graph, 0);
  if (graph)
    cudaGraphDestroy(graph);
  if (status == cudaSuccess)
    return executable;
  problem =
      fmt::format("CUDA reports {}: {}", cudaGetErrorName(status), cudaGetErrorString(status));
  cudaGetLastError();
  return nullptr;
}

void launch(int index, void* graph) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(index)), "graph: launch");
}

void destroy(void* graph) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)); }

struct Place {
  std::byte* memory = nullptr;
  cudaEvent_t done = nullptr;
};

void* open(int index, std::size_t bytes) {
  stream_of(index);
  void* memory = nullptr;
  check(cudaMallocHost(&memory, bytes), "late reads: pinned memory");
  auto* place = new Place{static_cast<std::byte*>(memory), nullptr};
  check(cudaEventCreateWithFlags(&place->done, cudaEventDisableTiming), "late reads: an event");
  return place;
}

void fetch(int index, void* place, std::size_t offset, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(static_cast<Place*>(place)->memory + offset, from, bytes,
                        cudaMemcpyDeviceToHost, stream_of(index)),
        "late reads");
}

void mark(int index, void* place) {
  check(cudaEventRecord(static_cast<Place*>(place)->done, stream_of(index)), "late reads");
}

const std::byte* wait(void* place) {
  check(cudaEventSynchronize(static_cast<Place*>(place)->done), "late reads");
  return static_cast<Place*>(place)->memory;
}

void close(void* place) {
  auto* const closed = static_cast<Place*>(place);
  cudaEventSynchronize(closed->done);
  cudaEventDestroy(closed->done);
  cudaFreeHost(closed->memory);
  delete closed;
}

const bool served = [] {
  serve_graphs(Device::cuda, {begin, end, launch, destroy, open, fetch, mark, wait, close});
  return true;
}();

}  // namespace
}  // namespace likely::kernels::cuda
