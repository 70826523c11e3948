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
  explicit Parameters(Module& module, const Filter& filter = {}, const Grouping& grouping = {});
  Parameters(const Parameters&) = delete;
  ~Parameters();  // the values stay where they are; another Parameters may take them over

  Module& module() const { return module_; }
  const Tensor& values() const { return values_; }        // flat
  const Tensor& gradients() const { return gradients_; }  // flat
  std::int64_t count() const { return count_; }           // parameters, padding not counted
  // Ranges of one rate and decay, covering the buffers; those frozen now have the rate 0.
  std::vector<kernels::Segment> segments() const;

  struct Entry {
    std::string name;
    Shape shape;
    Group group;
    std::int64_t offset;  // elements into the flat buffers
    Parameter parameter;
  };
  const std::vector<Entry>& entries() const { return entries_; }  // by offset
  // An entry's view of a flat buffer: of values, gradients, moments, averages.
  static Tensor slice(const Tensor& flat, const Entry& entry);

  void begin_update();      // the next contribution to each gradient overwrites
  void finish_gradients();  // zero where no contribution came
  // The module computes with these values (an EMA's) until it is rebased onto values() again.
  void rebase(const Tensor& flat);

 private:
  Module& module_;
  Tensor values_, gradients_;
  std::vector<Entry> entries_;
  std::int64_t count_ = 0;
};

}  // namespace likely
