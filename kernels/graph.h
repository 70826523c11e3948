// Graphs: what a piece of work launches on a GPU, recorded once and replayed as one launch; and
// reading on the host without holding up the device.
#pragma once
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "tensor/allocator.h"

namespace likely::kernels {

// What a kind of device brings that can record. Everything is in the order of its own stream.
struct GraphBackend {
  void (*begin)(int index);
  // A graph that can be launched; null, and why, where something in between could not be recorded.
  // Either way nothing is being recorded any more.
  void* (*end)(int index, std::string& problem);
  void (*launch)(int index, void* graph);
  void (*destroy)(void* graph);

  // A place on the host that the device writes to.
  void* (*open)(int index, std::size_t bytes);
  void (*fetch)(int index, void* place, std::size_t offset, const void* from, std::size_t bytes);
  void (*mark)(int index, void* place);   // after the last piece
  const std::byte* (*wait)(void* place);  // until all has come
  void (*close)(void* place);
};
void serve_graphs(Device::Kind kind, const GraphBackend& backend);
bool can_record(Device device);  // meta: what it stands for can

// Whether this thread's launches are being recorded: nothing runs, so the host can neither give a
// value nor read one.
bool recording();

// What held up the host, for tests: values read from a GPU at once, and copies to one that had to
// wait for pinned memory.
struct Traffic {
  std::uint64_t reads = 0, waits = 0;
};
Traffic& traffic();

// Work that launches the same each time. It must have run once before (handles, plans and tables
// are made then), keep no tensor that it makes, and read nothing on the host but what is given to
// it in tensors of a fixed place. Where it cannot be recorded, that is said once on stderr and it
// goes on as it is.
class Graph {
 public:
  // How often the work is called again instead of replayed, to see that it still launches what was
  // recorded. (The results are the same.)
  static constexpr std::int64_t check_every = 1000;

  explicit Graph(Device device);
  Graph(const Graph&) = delete;
  ~Graph();

  // The first time the work is called, with memory of the graph's own pool; the second time it is
  // recorded, and from then on replayed. On meta it is called each time, with the pool's memory.
  void run(const std::function<void()>& work);
  bool recorded() const { return graph_; }

 private:
  void record(const std::function<void()>& work);
  void* captured(const std::function<void()>& work);  // the graph; throws
  void check(const std::function<void()>& work);

  Device device_;
  const GraphBackend* backend_;            // null on meta
  std::unique_ptr<Allocator::Pool> pool_;  // none: the work cannot be recorded
  std::vector<Launch> launches_;           // that were recorded
  void* graph_ = nullptr;
  std::int64_t runs_ = 0;
};

// Tensors on their way to the host, in the order in which they were sent for.
class LateReads {
 public:
  explicit LateReads(Device device) : device_(device) {}
  LateReads(const LateReads&) = delete;
  ~LateReads();

  void send_for(const Tensors& tensors);  // contiguous; their values as of now
  std::vector<std::byte> take();          // the oldest, one after another; waits for no later work
  void clear();                           // forgets what was not taken

 private:
  struct Place {
    void* there = nullptr;         // null where nothing is recorded
    std::vector<std::byte> bytes;  // its values on these; else its size
  };
  Place place_for(std::size_t bytes);

  Device device_;
  std::deque<Place> sent_;
  std::vector<Place> free_;
};

}  // namespace likely::kernels
