// Streams, events, copies, graphs and errors: what a host sees is what it would see with a GPU.
#include <thread>

#include "tests/emulate/harness.h"

namespace likely::kernels {
namespace {

__global__ void add(float* x, float what) { x[threadIdx.x] += what; }

__global__ void fail_in_block_2(float* x) {
  if (blockIdx.x == 2 && threadIdx.x == 5)
    cuda::load16(x + 1);
  x[threadIdx.x] += 1;
}

class Stream {
 public:
  Stream() { CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking) == cudaSuccess); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// Sixteen numbers in pinned memory.
class Pinned {
 public:
  Pinned() { CHECK(cudaMallocHost(&values, 64) == cudaSuccess); }
  ~Pinned() { cudaFreeHost(values); }
  Pinned(const Pinned&) = delete;
  float* values = nullptr;
};

cudaError_t add_on(cudaStream_t stream, float* x, float what) {
  return emulate::launch("test/add", add, 1u, 16, 0, stream, x, what);
}

}  // namespace

TEST_CASE("runtime: work runs where the host waits for it") {
  const Values<float> x(16);
  const Pinned to;
  to.values[0] = -1;
  add_on(cuda::stream(), x.begin(), 2);
  CHECK(cudaMemcpyAsync(to.values, x.begin(), 64, cudaMemcpyDefault, cuda::stream()) ==
        cudaSuccess);
  CHECK(to.values[0] == -1);
  wait();
  CHECK(to.values[0] == 2);
}

TEST_CASE("runtime: a copy takes pageable memory at the call, pinned memory when it runs") {
  const Values<float> x(16);
  std::vector<float> pageable(16, 1);
  const Pinned pinned;
  pinned.values[0] = 1;
  const auto copied_after_change = [&](float* from) {
    CHECK(cudaMemcpyAsync(x.begin(), from, 64, cudaMemcpyHostToDevice, cuda::stream()) ==
          cudaSuccess);
    from[0] = 5;
    return x.read()[0];
  };
  CHECK(copied_after_change(pageable.data()) == 1);
  CHECK(copied_after_change(pinned.values) == 5);
}

TEST_CASE("runtime: copies go where they are said to, within a block") {
  const Values<float> x(16), y(16);
  std::vector<float> host(16, 4), back(16);
  const auto copy = [](void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    return cudaMemcpy(to, from, bytes, kind);
  };
  CHECK(copy(x.begin(), host.data(), 64, cudaMemcpyHostToDevice) == cudaSuccess);
  CHECK(copy(y.begin(), x.begin(), 64, cudaMemcpyDefault) == cudaSuccess);
  CHECK(copy(back.data(), y.begin(), 64, cudaMemcpyDefault) == cudaSuccess);
  CHECK(back == host);
  CHECK(copy(x.begin(), host.data(), 64, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(copy(x.begin(), y.begin(), 68, cudaMemcpyDefault) == cudaErrorInvalidValue);
  CHECK(std::string(cudaGetErrorString(cudaErrorInvalidValue)).find("copy to: 68 bytes at 0x") ==
        0);
  CHECK(cudaMemsetAsync(host.data(), 0, 64) == cudaErrorInvalidValue);
  CHECK(cudaMemsetAsync(x.begin(), 0, 64, cuda::stream()) == cudaSuccess);
  CHECK(x.read() == std::vector<float>(16));
  cudaGetLastError();
}

TEST_CASE("runtime: streams do not wait for each other, but through events") {
  const Values<float> x(16), y(16);
  const Stream first, second;
  wait();
  cudaEvent_t event = nullptr;
  CHECK(cudaEventCreate(&event) == cudaSuccess);
  CHECK(cudaEventSynchronize(event) == cudaSuccess);  // never recorded: nothing to wait for
  const auto copied = [&](bool waits) {
    add_on(first, x.begin(), 1);
    CHECK(cudaEventRecord(event, first) == cudaSuccess);
    add_on(first, x.begin(), 10);
    if (waits)
      CHECK(cudaStreamWaitEvent(second, event) == cudaSuccess);
    cudaMemcpyAsync(y.begin(), x.begin(), 64, cudaMemcpyDefault, second);
    CHECK(cudaStreamSynchronize(second) == cudaSuccess);
    const float seen = y.read()[0];
    CHECK(cudaStreamSynchronize(first) == cudaSuccess);
    return seen;
  };
  CHECK(copied(true) == 1);
  CHECK(copied(false) == 11);
  CHECK(x.read()[0] == 22);
  CHECK(cudaEventDestroy(event) == cudaSuccess);
}

TEST_CASE("runtime: events tell the time between them") {
  const Values<float> x(16);
  cudaEvent_t start = nullptr, end = nullptr;
  cudaEventCreate(&start);
  cudaEventCreate(&end);
  float milliseconds = -1;
  CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorInvalidResourceHandle);
  cudaEventRecord(start, cuda::stream());
  for (int i = 0; i < 100; ++i)
    add_on(cuda::stream(), x.begin(), 1);
  cudaEventRecord(end, cuda::stream());
  CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorNotReady);
  CHECK(cudaEventSynchronize(end) == cudaSuccess);
  CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaSuccess);
  CHECK(milliseconds > 0);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  cudaGetLastError();
}

TEST_CASE(
    "runtime: a kernel's fault is reported once, where the host waits, with its whole story") {
  const Values<float> x(16);
  wait();
  cuda::launch(tried(), fail_in_block_2, {4u, 16}, x.begin());
  add_on(cuda::stream(), x.begin(), 100);
  CHECK(cudaPeekAtLastError() == cudaSuccess);
  CHECK(cudaStreamSynchronize(cuda::stream()) == cudaErrorLaunchFailure);
  CHECK(cudaPeekAtLastError() == cudaErrorLaunchFailure);
  CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
  CHECK(cudaGetLastError() == cudaSuccess);
  const std::string story = cudaGetErrorString(cudaErrorLaunchFailure);
  CHECK(story.find("test/kernel/f32: block 2,0,0 thread 5: 16 bytes at once: the address 0x") == 0);
  CHECK(story.find("runtime.cpp:") != std::string::npos);
  CHECK(std::string(cudaGetErrorName(cudaErrorLaunchFailure)) == "cudaErrorLaunchFailure");
  CHECK(cudaStreamSynchronize(cuda::stream()) == cudaSuccess);
  CHECK(x.read()[15] < 100);  // what was queued behind the fault is lost
  add_on(cuda::stream(), x.begin(), 100);
  CHECK(x.read()[15] >= 100);
}

TEST_CASE("runtime: a graph holds launches with their arguments, and replays them") {
  const Values<float> x(16);
  const Stream stream;
  wait();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  float what = 1;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
  add_on(stream, x.begin(), what);
  what = 10;
  add_on(stream, x.begin(), what);
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(x.read()[0] == 0);
  CHECK(cudaGraphInstantiate(&executable, graph) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  what = 1000;
  for (int replay = 1; replay <= 3; ++replay) {
    CHECK(cudaGraphLaunch(executable, stream) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(x.read() == std::vector<float>(16, 11.0f * static_cast<float>(replay)));
  }
  CHECK(cudaGraphExecDestroy(executable) == cudaSuccess);
}

TEST_CASE("runtime: host threads with a stream each do not disturb one another") {
  const Values<float> x(16), y(16);
  wait();
  const auto hundred = [](float* values) {
    const Stream stream;
    for (int i = 0; i < 100; ++i) {
      add_on(stream, values, 1);
      if (i % 10 == 9)
        CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    }
  };
  std::thread other(hundred, x.begin());
  hundred(y.begin());
  other.join();
  CHECK(x.read() == std::vector<float>(16, 100));
  CHECK(y.read() == std::vector<float>(16, 100));
}

TEST_CASE("runtime: what a capture cannot hold ends it") {
  const Stream stream;
  cudaGraph_t graph = nullptr;
  void* block = nullptr;
  const auto invalidates = [&](auto call) {
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    CHECK(call() == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
    CHECK(graph == nullptr);
  };
  invalidates([&] { return cudaStreamSynchronize(stream); });
  invalidates([&] { return cudaDeviceSynchronize(); });
  invalidates([&] { return cudaMalloc(&block, 16); });
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorIllegalState);
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed) == cudaSuccess);
  CHECK(cudaMalloc(&block, 16) == cudaSuccess);
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  CHECK(cudaFree(block) == cudaSuccess);
  cudaGetLastError();
}

}  // namespace likely::kernels
