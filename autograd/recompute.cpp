#include <utility>

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace likely {
namespace {

const Op recompute_op{
    "recompute",
    Case{"two products",
         [](Samples& s) {
           const Variable w = s.normal({3, 3});
           return recompute(
               [w](const Variables& x) { return tanh(matmul(tanh(matmul(x[0], w)), w)); },
               {s.normal({2, 3})});
         }}
        .without(Variant::zero_size, "both factors of the inner product would have to be empty")};

thread_local bool second_run = false;

struct SecondRun {
  SecondRun() : before(std::exchange(second_run, true)) {}
  SecondRun(const SecondRun&) = delete;
  ~SecondRun() { second_run = before; }
  bool before;
};

Variable run_again(const std::function<Variable(const Variables&)>& f, const Variables& inputs) {
  const RecordingScope on(true);
  const SecondRun scope;
  return f(inputs);
}

}  // namespace

bool recomputing() { return second_run; }

Variable recompute(const std::function<Variable(const Variables&)>& f, const Variables& inputs) {
  // The first run records, to learn which older variables f reads; its tape goes when this function
  // returns.
  const std::uint64_t since = next_birth();
  const Variable first = f(inputs);
  if (!recording())
    return first;
  const std::vector<Node::Edge> edges = outward_edges({first}, since);
  std::vector<Saved> kept(inputs.begin(), inputs.end());
  Vjps vjp = [f, kept, edges](const Variables& g, const Variables&, const Wants& wants) {
    Walk walk;
    walk.recorded = recording() ? Recorded::yes : Recorded::no;
    walk.oldest = next_birth();
    for (std::size_t i = 0; i < edges.size(); ++i)
      walk.targets.push_back(wants[i] ? edges[i] : Node::Edge{});
    return walk_back({run_again(f, Variables(kept.begin(), kept.end()))}, g, walk);
  };
  return Node::record(recompute_op, {first.value()}, edges, std::move(vjp), false)[0];
}

}  // namespace likely
