// The queues, and how they are run.
#include "kernels/emulate/stream.h"

#include <algorithm>

#include "kernels/emulate/memory.h"

namespace likely::kernels::emulate {

Streams& streams() {
  static Streams& only = *new Streams;  // outlives whoever waits last
  return only;
}

cudaStream_t Streams::create() { return &made_.emplace_back(); }

void Streams::destroy(cudaStream_t stream) {
  CUstream_st& found = at(stream);
  run(stream);
  made_.remove_if([&](const CUstream_st& each) { return &each == &found; });
}

CUstream_st& Streams::at(cudaStream_t stream) {
  if (!stream)
    return default_;
  for (CUstream_st& each : made_)
    if (&each == stream)
      return each;
  refuse(cudaErrorInvalidResourceHandle, "there is no such stream: {}", fmt::ptr(stream));
}

void Streams::submit(cudaStream_t stream, EmulatedWork work) {
  CUstream_st& queue = at(stream);
  if (queue.capturing)
    queue.capturing->work.push_back(std::move(work));
  else
    queue.work.push_back(std::move(work));
}

void Streams::run(cudaStream_t stream) {
  CUstream_st& queue = at(stream);
  run(queue, queue.done + queue.work.size());
}

void Streams::run_all() {
  run(nullptr);
  for (CUstream_st& each : made_)
    run(&each);
}

void Streams::run_to(const CUevent_st::Record& record) {
  if (!record.stream)
    run(default_, record.position + 1);
  for (CUstream_st& each : made_)  // it may have been destroyed, when it was done
    if (&each == record.stream)
      run(each, record.position + 1);
}

void Streams::run(CUstream_st& stream, std::uint64_t until) {
  if (stream.done >= until || stream.work.empty())
    return;
  const Arena::Open open(arena());
  try {
    while (stream.done < until && !stream.work.empty()) {
      const EmulatedWork work = std::move(stream.work.front());
      stream.work.pop_front();
      ++stream.done;
      work();
    }
  } catch (...) {
    drop_all();
    throw;
  }
}

// After a fault nothing behind it has meaning.
void Streams::drop_all() {
  const auto drop = [](CUstream_st& stream) {
    stream.done += stream.work.size();
    stream.work.clear();
  };
  drop(default_);
  std::for_each(made_.begin(), made_.end(), drop);
}

void Streams::forbid_in_capture(cudaStream_t stream, const char* call) {
  CUstream_st& queue = at(stream);
  if (!queue.capturing)
    return;
  queue.invalidated = true;
  refuse(cudaErrorStreamCaptureUnsupported, "{}: not while the stream is captured", call);
}

void Streams::forbid_in_capture(const char* call) {
  for (CUstream_st& each : made_)
    if (each.capturing && each.mode != cudaStreamCaptureModeRelaxed)
      forbid_in_capture(&each, call);
}

}  // namespace likely::kernels::emulate
