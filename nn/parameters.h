// Parameters: what one optimiser trains, laid out once in one flat buffer; and the update over it.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "kernels/optimiser.h"
#include "nn/module.h"

namespace likely {

// How a parameter is grouped: a factor on the rate, and decoupled weight decay.
struct Group {
  float rate = 1, weight_decay = 0;
  bool operator==(const Group&) const = default;
};

// Values and gradients of a module's parameters (those that `filter` keeps) in flat buffers: each
// slice 64-byte aligned, grouped by rate and decay, a tied parameter once. The module's parameters
// become views of it.
class Parameters {
 public:
  using Filter = std::function<bool(const std::string& name)>;
  using Grouping = std::function<Group(const std::string& name, const Shape& shape)>;
  explicit Parameters(Module& module, Filter filter = {}, Grouping grouping = {});

  const Tensor& values() const { return values_; }        // flat
  const Tensor& gradients() const { return gradients_; }  // flat
  const std::vector<kernels::Segment>& segments() const { return segments_; }
  std::int64_t count() const { return count_; }  // parameters, padding not counted

  struct Entry {
    std::string name;
    Shape shape;
    std::int64_t offset;  // elements into the flat buffers
    Parameter parameter;
    std::shared_ptr<Slot> slot;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  Tensor slice(const Tensor& flat,
               const Entry& entry) const;  // of values, gradients, moments, averages

  void begin_update();      // the next contribution to each gradient overwrites
  void finish_gradients();  // zero where no contribution came
  void rebase(
      const Tensor& flat);  // the module computes with these values (an EMA's) until rebased again

 private:
  Tensor values_, gradients_;
  std::vector<kernels::Segment> segments_;
  std::vector<Entry> entries_;
  std::int64_t count_ = 0;
};

}  // namespace likely
