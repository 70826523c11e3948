// Module: a tree of parameters (trained), buffers (saved, not trained) and children, each with a
// name.
#pragma once
#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/ops.h"
#include "tensor/random.h"

namespace likely {

// Fills a fresh parameter from a draw of its own (nn/initialise.h has the usual ones).
using Initialiser = std::function<void(Tensor& value, const Draw& draw)>;

// A trained tensor. Copies are handles: a parameter shared by two modules is tied, and counted
// once.
class Parameter {
 public:
  Parameter(const Shape& shape, Initialiser initialise);
  const Variable& operator()() const { return state_->variable; }  // for computing
  operator const Variable&() const { return state_->variable; }
  const Tensor& value() const { return state_->variable.value(); }
  const Shape& shape() const { return state_->shape; }
  const std::shared_ptr<Slot>& slot() const { return state_->slot; }  // once in a flat buffer
  bool same_as(const Parameter& other) const { return state_ == other.state_; }

  // For Parameters: the value and its gradient become slices of flat buffers.
  void rebase(Tensor value, std::shared_ptr<Slot> slot);
  // For checks: computes with a variable of this shape, whose history counts, until rebased.
  void stand_in(Variable variable) { state_->variable = std::move(variable); }
  void freeze(bool frozen);  // while frozen a constant: no gradient is computed for it
  bool frozen() const { return state_->frozen; }
  void initialise(const Draw& draw);  // until then its elements are undefined

 private:
  void renew(Tensor value);  // a leaf, or a constant while frozen

  struct State {
    Shape shape;
    Initialiser initialise;
    Variable variable;
    std::shared_ptr<Slot> slot;
    bool frozen = false;
  };
  std::shared_ptr<State> state_;
};

// A saved tensor that is not trained. `stage` offers a new value; later reads of the same update
// see it; the optimiser's pass commits it, or drops it where the update was not finite.
class Buffer {
 public:
  explicit Buffer(Tensor value);
  bool same_as(const Buffer& other) const { return state_ == other.state_; }
  const Tensor& value() const;  // what was staged last, else what was committed
  const Tensor& staged() const { return state_->staged; }  // undefined where nothing is
  // Of the same shape and type; the newest counts. While a forward is recomputed nothing happens:
  // its first run has staged.
  void stage(Tensor value);
  // Writes it into the committed tensor, unless the flag of this StepState is raised.
  void commit(const Tensor& step);
  void drop();
  void rebase(Tensor value);  // another tensor; drops what was staged

 private:
  struct State {
    Tensor value, staged;
  };
  std::shared_ptr<State> state_;
};

class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  virtual ~Module() = default;

  // Names are paths such as "encoder.hidden.weight", in the order of registration; what is tied
  // stands once, under its first name.
  std::vector<std::pair<std::string, Parameter>> parameters() const;
  std::vector<std::pair<std::string, Buffer>> buffers() const;
  std::int64_t parameter_count() const;
  // All values under the names and in the layouts that PyTorch's layers give them.
  std::vector<std::pair<std::string, Tensor>> for_pytorch() const;

  // Draws every parameter anew: purpose "initialise/<name>", so that neither order nor siblings
  // matter. Where a run has several networks, each name is "<network>.<name>": else equal names
  // would draw alike.
  void initialise(std::uint64_t seed, const std::string& network = "");
  // Before Parameters lays the module out.
  void to(DType dtype);    // for checks in f64; buffers of integers stay as they are
  void to(Device device);  // `meta` for plans; values do not travel there
  void freeze(bool frozen = true);
  bool training() const { return training_; }
  void train(bool training = true);

 protected:
  using Named = std::pair<std::string, Tensor>;
  // One of this module's own, or of its children (already in their layouts), for PyTorch.
  virtual Named in_pytorch(const std::string& name, const Tensor& value) const {
    return {name, value};
  }
  Parameter add(const std::string& name, Parameter parameter);
  Buffer add(const std::string& name, Buffer buffer);
  template <std::derived_from<Module> M>
  M& add(const std::string& name, M& child) {  // children are members: they live as long as this
    check_name(name);
    children_.emplace_back(name, &child);
    return child;
  }

 private:
  void check_name(const std::string& name) const;  // unique in this module
  void collect(const std::string& path,
               std::vector<std::pair<std::string, Parameter>>& found) const;
  void collect(const std::string& path, std::vector<std::pair<std::string, Buffer>>& found) const;

  std::vector<std::pair<std::string, Parameter>> parameters_;
  std::vector<std::pair<std::string, Buffer>> buffers_;
  std::vector<std::pair<std::string, Module*>> children_;
  bool training_ = true;
};

// While alive: the module's parameters are constants. Those that were frozen before stay so.
class Frozen {
 public:
  explicit Frozen(const Module& module);
  Frozen(const Frozen&) = delete;
  ~Frozen();

 private:
  std::vector<Parameter> parameters_;
};

}  // namespace likely
