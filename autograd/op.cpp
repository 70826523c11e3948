#include "autograd/op.h"

#include <algorithm>
#include <cstring>

#include "autograd/tape.h"

namespace likely {
namespace {

std::vector<const Op*>& registry() {
  static std::vector<const Op*> ops;
  return ops;
}

std::vector<Node::Edge> edges_of(const Variables& inputs) {
  std::vector<Node::Edge> edges;
  for (const Variable& input : inputs)
    edges.push_back(Node::edge(input));
  return edges;
}

}  // namespace

Op::Op(const char* name, bool differentiable, std::vector<Case> cases)
    : name_(name), differentiable_(differentiable), cases_(std::move(cases)) {
  registry().push_back(this);
}

const std::vector<const Op*>& all_ops() {
  std::vector<const Op*>& ops = registry();
  std::sort(ops.begin(), ops.end(),
            [](const Op* a, const Op* b) { return std::strcmp(a->name(), b->name()) < 0; });
  return ops;
}

Variable Op::record_one(Tensor value, const Variables& inputs, Vjp vjp, bool keeps_output) const {
  Vjps all = [vjp = std::move(vjp)](const Variables& g, const Variables& y, const Wants& wants) {
    return vjp(g[0], y.empty() ? none : y[0], wants);
  };
  return Node::record(*this, {std::move(value)}, edges_of(inputs), std::move(all), keeps_output)[0];
}

Variables Op::record(Tensors values, const Variables& inputs, Vjps vjp, bool keeps_outputs) const {
  const std::size_t count = values.size();
  Vjps padded = [vjp = std::move(vjp), count](const Variables& g, const Variables& y,
                                              const Wants& wants) {
    Variables all = g;
    all.resize(count);
    return vjp(all, y, wants);
  };
  return Node::record(*this, std::move(values), edges_of(inputs), std::move(padded), keeps_outputs);
}

Variable Op::record(Tensor value, const Variables& inputs) const {
  return record_one(
      std::move(value), inputs,
      [name = name_](const Variable&, const Variable&, const Wants&) -> Variables {
        fail("{}: it has no gradient. Use stop_gradient on what flows into it.", name);
      },
      false);
}

Variables Op::fused(Tensors values, const Variables& inputs, Fast fast, Definition definition,
                    bool keeps_outputs) const {
  std::vector<Saved> kept;
  if (twice_differentiable())
    for (const Variable& input : inputs)
      kept.emplace_back(input);
  Vjps vjp = [fast = std::move(fast), definition = std::move(definition), kept, name = name_](
                 const Variables& g, const Variables& y, const Wants& wants) -> Variables {
    if (!recording()) {
      Tensors cotangents, outputs;
      for (const Variable& v : g)
        cotangents.push_back(v.value());
      for (const Variable& v : y)
        outputs.push_back(v.value());
      Variables result;
      for (Tensor& t : fast(cotangents, outputs, wants))
        result.emplace_back(std::move(t));
      return result;
    }
    require(!kept.empty(),
            "{}: a gradient of its gradient is asked for, but its forward kept only what a first "
            "gradient reads. Run the forward under TwiceDifferentiable.",
            name);
    Variables inner(kept.begin(), kept.end());
    Walk walk;
    walk.recorded = Recorded::yes;
    walk.oldest = next_birth();
    for (std::size_t i = 0; i < inner.size(); ++i)
      walk.targets.push_back(wants[i] ? Node::edge(inner[i]) : Node::Edge{});
    return walk_back(definition(inner), g, walk);
  };
  return record(std::move(values), inputs, std::move(vjp), keeps_outputs);
}

Case& Case::without(Variant variant, const char* reason) {
  excluded.emplace_back(variant, reason);
  return *this;
}

Case& Case::at_tolerance(double first, double second, const char* reason) {
  first_bar = first;
  second_bar = second;
  note = reason;
  return *this;
}

Case& Case::first_order_only(const char* reason) {
  second_order = false;
  note = reason;
  return *this;
}

Case& Case::states(std::vector<double> gradient) {
  stated = std::move(gradient);
  return *this;
}

const char* name_of(Variant variant) {
  switch (variant) {
    case Variant::plain:
      return "plain";
    case Variant::strided:
      return "strided";
    case Variant::offset:
      return "offset";
    case Variant::broadcast:
      return "broadcast";
    case Variant::zero_size:
      return "zero size";
  }
  return "unknown variant";
}

}  // namespace likely
