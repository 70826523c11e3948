#include "autograd/tape.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <unordered_set>

#include "autograd/ops.h"
#include "kernels/copy.h"

namespace likely {
namespace {

std::atomic<std::uint64_t> births{1};
thread_local bool recording_on = true;
thread_local bool keeping_definitions = false;
thread_local const char* differentiating = nullptr;  // the op whose vjp runs, for messages

// Nodes hold each other through edges and through what vjps captured: deleting them one inside the
// other would overflow the stack on a long chain, so the outermost deletion works the others off in
// a loop.
void bury(Node* node) {
  thread_local std::vector<Node*> waiting;
  thread_local bool working = false;
  waiting.push_back(node);
  if (working)
    return;
  working = true;
  while (!waiting.empty()) {
    Node* next = waiting.back();
    waiting.pop_back();
    delete next;
  }
  working = false;
}

}  // namespace

std::uint64_t next_birth() { return births.load(std::memory_order_relaxed); }
bool recording() { return recording_on; }
bool twice_differentiable() { return keeping_definitions; }

RecordingScope::RecordingScope(bool on) : before_(recording_on) { recording_on = on; }
RecordingScope::~RecordingScope() { recording_on = before_; }
NotRecording::NotRecording() : before_(recording_on) { recording_on = false; }
NotRecording::~NotRecording() { recording_on = before_; }
TwiceDifferentiable::TwiceDifferentiable() : before_(keeping_definitions) {
  keeping_definitions = true;
}
TwiceDifferentiable::~TwiceDifferentiable() { keeping_definitions = before_; }

Variable Variable::leaf(Tensor value, std::shared_ptr<Slot> slot) {
  return {std::move(value), Node::leaf(std::move(slot)), 0};
}

Saved Variable::saved() const { return Saved(*this); }

Saved Variable::saved_for(const Variable& other) const {
  return other.wants_gradient() ? Saved(*this) : Saved();
}

const Variable& Saved::get() const {
  const char* op = differentiating ? differentiating : "autograd";
  require(defined(), "{}: its gradient reads a value that was not kept.", op);
  require(variable_.value().version() == version_,
          "{}: a value of shape {} that its gradient needs was written after the forward pass. "
          "Differentiate before updating.",
          op, variable_.shape());
  return variable_;
}

Node::Node() : birth_(births.fetch_add(1, std::memory_order_relaxed)) {}

std::shared_ptr<Node> Node::leaf(std::shared_ptr<Slot> slot) {
  std::shared_ptr<Node> node(new Node, bury);
  node->slot_ = std::move(slot);
  return node;
}

Node::Edge Node::edge(const Variable& input) {
  return {input.node(), input.output(), input.shape(), input.dtype()};
}

Variables Node::record(const Op& op, Tensors values, std::vector<Edge> edges, Vjps vjp,
                       bool keeps_outputs) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i].defined())
      watch_value(op.name(), static_cast<int>(i), values[i]);
  const bool wanted = recording_on && std::any_of(edges.begin(), edges.end(),
                                                  [](const Edge& e) { return e.node != nullptr; });
  Variables outputs;
  if (!wanted) {
    for (Tensor& value : values)
      outputs.emplace_back(std::move(value));
    return outputs;
  }
  std::shared_ptr<Node> node(new Node, bury);
  node->op_ = &op;
  node->edges_ = std::move(edges);
  node->vjp_ = std::move(vjp);
  node->output_count_ = static_cast<int>(values.size());
  if (keeps_outputs)
    for (const Tensor& value : values)
      node->outputs_.emplace_back(Variable(value));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].defined())
      outputs.push_back(Variable(std::move(values[i]), node, static_cast<int>(i)));
    else
      outputs.push_back(none);
  }
  return outputs;
}

void Node::release() {
  vjp_ = nullptr;
  outputs_.clear();
}

Variables Node::differentiate(const std::shared_ptr<Node>& node, const Variables& g,
                              const Wants& wants) {
  const char* name = node->name();
  const char* before = std::exchange(differentiating, name);
  struct Restore {
    const char* before;
    ~Restore() { differentiating = before; }
  } restore{before};
  require(static_cast<bool>(node->vjp_),
          "{}: the tape through it was already used by a backward pass. Run the forward again.",
          name);
  Variables y;  // the outputs again, on the tape, so that a recorded vjp may differentiate them
  for (std::size_t i = 0; i < node->outputs_.size(); ++i)
    y.push_back(Variable(node->outputs_[i].get().value(), node, static_cast<int>(i)));
  Variables result = node->vjp_(g, y, wants);
  require(result.size() == node->edges_.size(), "{}: its vjp returned {} gradients for {} inputs.",
          name, result.size(), node->edges_.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const Edge& edge = node->edges_[i];
    if (!wants[i] || !result[i].defined()) {
      result[i] = none;
      continue;
    }
    require(result[i].dtype() == edge.dtype, "{}: gradient {} is {}, its input {}.", name, i,
            result[i].dtype(), edge.dtype);
    if (result[i].shape() != edge.shape)
      result[i] = sum_to(result[i], edge.shape, wants[i].into);
    Tensor value = result[i].value();
    watch_gradient(name, static_cast<int>(i), value);
    if (!value.same_view(result[i].value()))
      result[i] = Variable(value);  // a planted fault
  }
  return result;
}

namespace {

// The nodes that a walk may enter, oldest first.
std::vector<std::shared_ptr<Node>> reachable(const Variables& outputs, std::uint64_t oldest) {
  std::vector<std::shared_ptr<Node>> found;
  std::unordered_set<const Node*> seen;
  const auto visit = [&](const std::shared_ptr<Node>& node) {
    if (node && seen.insert(node.get()).second)
      found.push_back(node);
  };
  for (const Variable& output : outputs)
    visit(output.node());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::shared_ptr<Node> node = found[i];
    if (node->birth() < oldest)
      continue;
    for (const Node::Edge& edge : node->edges())
      visit(edge.node);
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a->birth() < b->birth(); });
  return found;
}

// What the walk knows of one node.
struct Visit {
  bool needed = false;
  Variables g;                             // per output, none until a contribution came
  std::vector<std::pair<int, int>> asked;  // (output, position among the targets)

  void add(int output, const Variable& gradient) {
    if (static_cast<int>(g.size()) <= output)
      g.resize(static_cast<std::size_t>(output) + 1);
    Variable& sum = g[static_cast<std::size_t>(output)];
    sum = sum.defined() ? sum + gradient : gradient;
  }
};

void accumulate_into(Slot& slot, const Tensor& gradient) {
  if (!gradient.same_view(slot.gradient)) {
    if (slot.written)
      kernels::add_into(slot.gradient, gradient);
    else
      kernels::copy_into(slot.gradient, gradient);
  }
  slot.written = true;
}

class Engine {
 public:
  Engine(const Variables& outputs, const Walk& walk) : walk_(walk) {
    nodes_ = reachable(outputs, walk.oldest);
    for (std::size_t i = 0; i < walk.targets.size(); ++i)
      if (const auto& node = walk.targets[i].node) {
        visits_[node.get()].needed = true;
        visits_[node.get()].asked.emplace_back(walk.targets[i].output, static_cast<int>(i));
      }
    for (const auto& node : nodes_) {
      Visit& visit = visits_[node.get()];
      if (walk.into_slots && node->is_leaf() && node->slot())
        visit.needed = true;
      if (node->birth() < walk.oldest)
        continue;
      for (const Node::Edge& edge : node->edges())
        if (edge.node && visits_[edge.node.get()].needed)
          visit.needed = true;
    }
  }

  Variables run(const Variables& outputs, const Variables& cotangents) {
    const RecordingScope scope(walk_.recorded == Recorded::yes);
    Variables found(walk_.targets.size());
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (outputs[i].node() && cotangents[i].defined())
        visits_[outputs[i].node().get()].add(outputs[i].output(), cotangents[i]);
    while (!nodes_.empty()) {
      const std::shared_ptr<Node> node = std::move(nodes_.back());
      nodes_.pop_back();
      Visit visit = std::move(visits_[node.get()]);
      if (!visit.needed || visit.g.empty())
        continue;
      for (const auto& [output, target] : visit.asked)
        if (output < static_cast<int>(visit.g.size()))
          found[static_cast<std::size_t>(target)] = visit.g[static_cast<std::size_t>(output)];
      if (node->is_leaf()) {
        if (walk_.into_slots && node->slot())
          accumulate_into(*node->slot(), visit.g[0].value());
      } else if (node->birth() >= walk_.oldest) {
        through(node, visit);
      }
    }
    return found;
  }

 private:
  // A leaf with a slot takes its contributions at once, so that a product can write where they
  // belong.
  Slot* slot_of(const Node::Edge& edge) const {
    return walk_.into_slots && edge.node && edge.node->is_leaf() ? edge.node->slot().get()
                                                                 : nullptr;
  }

  void through(const std::shared_ptr<Node>& node, Visit& visit) {
    const std::vector<Node::Edge>& edges = node->edges();
    bool leads_on = false;
    Wants wants(edges.size());
    std::unordered_set<const Slot*> offered;
    for (std::size_t i = 0; i < edges.size(); ++i) {
      wants[i].wanted = edges[i].node && visits_[edges[i].node.get()].needed;
      leads_on |= wants[i].wanted;
      Slot* slot = slot_of(edges[i]);
      if (wants[i].wanted && slot && offered.insert(slot).second)
        wants[i].into = {slot->gradient, slot->written};
    }
    if (!leads_on)
      return;
    Variables gradients = Node::differentiate(node, visit.g, wants);
    if (walk_.into_slots)
      node->release();
    visit.g.clear();
    for (std::size_t i = 0; i < edges.size(); ++i) {
      if (!gradients[i].defined())
        continue;
      if (Slot* slot = slot_of(edges[i]); slot && visits_[edges[i].node.get()].asked.empty())
        accumulate_into(*slot, gradients[i].value());
      else
        visits_[edges[i].node.get()].add(edges[i].output, gradients[i]);
      gradients[i] = none;
    }
  }

  const Walk& walk_;
  std::vector<std::shared_ptr<Node>> nodes_;
  std::unordered_map<const Node*, Visit> visits_;
};

}  // namespace

Variables walk_back(const Variables& outputs, const Variables& cotangents, const Walk& walk) {
  return Engine(outputs, walk).run(outputs, cotangents);
}

std::vector<Node::Edge> outward_edges(const Variables& outputs, std::uint64_t since) {
  std::vector<Node::Edge> found;
  for (const Variable& output : outputs)
    if (output.node() && output.node()->birth() < since)
      found.push_back(Node::edge(output));
  for (const auto& node : reachable(outputs, since)) {
    if (node->birth() < since)
      continue;
    for (const Node::Edge& edge : node->edges())
      if (edge.node && edge.node->birth() < since)
        found.push_back(edge);
  }
  std::vector<Node::Edge> unique;
  for (const Node::Edge& edge : found)
    if (std::none_of(unique.begin(), unique.end(), [&](const Node::Edge& u) {
          return u.node == edge.node && u.output == edge.output;
        }))
      unique.push_back(edge);
  return unique;
}

Variables gradients(const Variable& output, const Variables& inputs, const Variable& cotangent,
                    Recorded recorded) {
  require(cotangent.defined() || output.value().numel() == 1,
          "gradients: an output of shape {} needs a cotangent of that shape.", output.shape());
  require(!cotangent.defined() || cotangent.shape() == output.shape(),
          "gradients: the cotangent has the shape {}, the output {}.", cotangent.shape(),
          output.shape());
  Walk walk;
  walk.recorded = recorded;
  for (const Variable& input : inputs)
    walk.targets.push_back(Node::edge(input));
  const Variable seed =
      cotangent.defined()
          ? cotangent
          : Variable(kernels::full(output.shape(), 1, output.dtype(), output.device()));
  return walk_back({output}, {seed}, walk);
}

void backward(const Variable& loss) {
  require(loss.value().numel() == 1, "backward: the loss has the shape {}, not one element.",
          loss.shape());
  Walk walk;
  walk.into_slots = true;
  walk_back({loss}, {Variable(kernels::full(loss.shape(), 1, loss.dtype(), loss.device()))}, walk);
}

}  // namespace likely
