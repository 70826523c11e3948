// The tape: nodes from outputs back to inputs, and the one engine that walks them.
#pragma once
#include <memory>
#include <vector>

#include "autograd/op.h"

namespace likely {

// One recorded operation, or a leaf. A node's inputs are always older: births order the walk.
class Node {
 public:
  struct Edge {
    std::shared_ptr<Node> node;  // null: a constant
    int output = 0;
    Shape shape;
    DType dtype = DType::f32;
  };

  // A leaf.
  static std::shared_ptr<Node> leaf(std::shared_ptr<Slot> slot);
  // An operation; returns its outputs on the tape. Undefined values become none.
  static Variables record(const Op& op, Tensors values, std::vector<Edge> edges, Vjps vjp,
                          bool keeps_outputs);
  static Edge edge(const Variable& input);

  const char* name() const { return op_ ? op_->name() : "leaf"; }
  std::uint64_t birth() const { return birth_; }
  const std::vector<Edge>& edges() const { return edges_; }
  const std::shared_ptr<Slot>& slot() const { return slot_; }
  bool is_leaf() const { return op_ == nullptr; }

  // Gradients of the inputs, none where they are not wanted, shaped like the inputs.
  static Variables differentiate(const std::shared_ptr<Node>& node, const Variables& g,
                                 const Wants& wants);
  void release();  // drops what only a backward would read

 private:
  friend class Variable;
  Node();

  const Op* op_ = nullptr;
  std::uint64_t birth_;
  std::vector<Edge> edges_;
  Vjps vjp_;
  std::vector<Saved> outputs_;  // values only, where the vjp asked for them
  int output_count_ = 1;
  std::shared_ptr<Slot> slot_;
};

// The birth that the next node will have.
std::uint64_t next_birth();

// What a walk is to find.
struct Walk {
  std::vector<Node::Edge> targets;  // gradients to return
  Recorded recorded = Recorded::no;
  bool into_slots = false;   // also accumulate into the slots of leaves, and free the tape
  std::uint64_t oldest = 0;  // nodes born before are ends of the walk
};
Variables walk_back(const Variables& outputs, const Variables& cotangents, const Walk& walk);

// Every edge from nodes born at `since` or later to older ones, once each, in a fixed order.
std::vector<Node::Edge> outward_edges(const Variables& outputs, std::uint64_t since);

// Sets recording for a scope.
class RecordingScope {
 public:
  explicit RecordingScope(bool on);
  ~RecordingScope();
  RecordingScope(const RecordingScope&) = delete;

 private:
  bool before_;
};
bool twice_differentiable();

void watch_value(const char* op, int output, Tensor& value);
void watch_gradient(const char* op, int input, Tensor& gradient);
// Ops with a kink tell where their input lies: positive elements are on one side.
void watch_kink(const Tensor& x);
bool watched();  // by anyone: else what only a Watch would read need not be made

}  // namespace likely
