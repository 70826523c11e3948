// When work is called, when recorded, and when replayed.
#include "kernels/graph.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <string_view>

#include "tensor/streams.h"

namespace likely::kernels {
namespace {

std::array<const GraphBackend*, 3>& backends() {
  static std::array<const GraphBackend*, 3> all{};
  return all;
}

const GraphBackend* backend_of(Device device) { return backends()[device.kind]; }

thread_local bool is_recording = false;

bool same(const Launch& a, const Launch& b) {
  return std::string_view(a.kernel) == b.kernel && a.flops == b.flops && a.bytes == b.bytes;
}

}  // namespace

void serve_graphs(Device::Kind kind, const GraphBackend& backend) {
  backends()[kind] = new GraphBackend(backend);  // as long as the process, like its module
}

bool can_record(Device device) { return backend_of(served(device)); }

bool recording() { return is_recording; }

Traffic& traffic() {
  static Traffic counted;
  return counted;
}

Graph::Graph(Device device)
    : device_(device),
      backend_(backend_of(device)),
      pool_(std::make_unique<Allocator::Pool>(allocator_of(device))) {
  require(can_record(device), "graph: the device {} records no work.", device);
}

Graph::~Graph() {
  if (graph_)
    backend_->destroy(graph_);
}

void Graph::run(const std::function<void()>& work) {
  ++runs_;
  if (!pool_)
    return work();
  if (runs_ == 1)
    allocator_of(device_).trim();  // what the work held before, it now holds in the pool
  if (runs_ == 1 || !backend_) {
    const Allocator::Pool::Scope scope(*pool_, Allocator::Pool::Fresh::any);
    return work();
  }
  if (!graph_)
    return record(work);
  if (runs_ % check_every == 0)
    return check(work);
  backend_->launch(device_.index, graph_);
}

// Nothing of the work has run when recording it fails, so it can be called again.
void Graph::record(const std::function<void()>& work) {
  try {
    graph_ = captured(work);
  } catch (const Error& error) {
    pool_.reset();
    to_stderr("graphs: a step cannot be recorded, and goes on launch by launch: {}\n",
              error.what());
    return work();
  }
  backend_->launch(device_.index, graph_);
}

void* Graph::captured(const std::function<void()>& work) {
  const auto all_back = [&] {
    require(pool_->outside() == 0,
            "graph: {} tensors that the work made are still in use after it. Copy them to a place "
            "that was made before.",
            pool_->outside());
  };
  all_back();
  const auto destroys = [this](void* graph) { backend_->destroy(graph); };
  std::unique_ptr<void, decltype(destroys)> graph(nullptr, destroys);
  const LaunchLog log;
  std::string problem;
  {
    const Allocator::Pool::Scope scope(*pool_, Allocator::Pool::Fresh::none);
    std::exception_ptr thrown;
    backend_->begin(device_.index);
    is_recording = true;
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
    is_recording = false;
    graph.reset(backend_->end(device_.index, problem));
    if (thrown)
      std::rethrow_exception(thrown);
  }
  require(graph != nullptr, "graph: {}", problem);
  all_back();
  launches_ = log.launches();
  return graph.release();
}

void Graph::check(const std::function<void()>& work) {
  const Allocator::Pool::Scope scope(*pool_, Allocator::Pool::Fresh::none);
  const LaunchLog log;
  work();
  const auto [now, before] = std::mismatch(log.launches().begin(), log.launches().end(),
                                           launches_.begin(), launches_.end(), same);
  const auto name_at = [](const std::vector<Launch>& launches, auto at) {
    return at == launches.end() ? "nothing" : at->kernel;
  };
  require(now == log.launches().end() && before == launches_.end(),
          "graph: launch {} is now {}, and {} was recorded and replayed: the work depends on what "
          "the host knows. Use --graphs off.",
          now - log.launches().begin(), name_at(log.launches(), now), name_at(launches_, before));
}

LateReads::~LateReads() {
  clear();
  for (const Place& place : free_)
    if (place.there)
      backend_of(device_)->close(place.there);
}

LateReads::Place LateReads::place_for(std::size_t bytes) {
  if (!free_.empty() && free_.back().bytes.size() == bytes) {
    Place place = std::move(free_.back());
    free_.pop_back();
    return place;
  }
  const GraphBackend* const backend = backend_of(device_);
  return {backend ? backend->open(device_.index, bytes) : nullptr, std::vector<std::byte>(bytes)};
}

void LateReads::send_for(const Tensors& tensors) {
  std::size_t bytes = 0;
  for (const Tensor& tensor : tensors)
    bytes += tensor.bytes();
  Place place = place_for(bytes);
  std::size_t offset = 0;
  for (const Tensor& tensor : tensors) {
    if (place.there)
      backend_of(device_)->fetch(device_.index, place.there, offset, tensor.raw(), tensor.bytes());
    else if (!tensor.is_meta())
      tensor.copy_to_host(place.bytes.data() + offset);
    offset += tensor.bytes();
  }
  if (place.there)
    backend_of(device_)->mark(device_.index, place.there);
  sent_.push_back(std::move(place));
}

std::vector<std::byte> LateReads::take() {
  require(!sent_.empty(), "late reads: nothing was sent for.");
  Place place = std::move(sent_.front());
  sent_.pop_front();
  if (place.there)
    std::memcpy(place.bytes.data(), backend_of(device_)->wait(place.there), place.bytes.size());
  free_.push_back(place);
  return place.bytes;
}

// What is still on its way to these places comes before what is sent there next.
void LateReads::clear() {
  free_.insert(free_.end(), sent_.begin(), sent_.end());
  sent_.clear();
}

}  // namespace likely::kernels
