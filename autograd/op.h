// Op: a differentiable operation with its name and its test cases; the only way onto the tape.
#pragma once
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "autograd/variable.h"
#include "tensor/sequence.h"

namespace likely {

// How the harness presents the inputs of a case: as they are, strided, offset into a larger
// storage, broadcast from an extent of 1, or with no elements.
enum class Variant { plain, strided, offset, broadcast, zero_size };
const char* name_of(Variant variant);

// Inputs for a case. Those that gradients flow to are leaves (seen through views in the variants);
// everything is drawn from one seed, so a case is the same wherever it runs.
class Samples {
 public:
  Samples(std::uint64_t seed, DType dtype, Device device = {}, Variant variant = Variant::plain);
  Variable normal(const Shape& shape);    // N(0, 1)
  Variable positive(const Shape& shape);  // in [0.5, 2.5]
  Variable uniform(const Shape& shape, double low, double high);
  Variable away_from(const Shape& shape,
                     const std::vector<double>& kinks);  // N(0, 1), ≥ 0.05 from each
  Variable at(const Shape& shape,
              const std::vector<double>& values);           // exactly these, in no variant
  Tensor constant(const Shape& shape);                      // N(0, 1), no gradient
  Tensor integers(const Shape& shape, std::int64_t below);  // i64, no gradient
  Tensor index(const std::vector<std::int64_t>& values);    // i64, exactly these

  const Variables& leaves() const { return leaves_; }  // in the order of the calls
  // For the checker, before the case runs: these are the leaves to hand out instead.
  void place(Variables leaves) { placed_ = std::move(leaves); }

 private:
  Variable present(const Shape& shape, const std::function<double()>& draw);
  Variable leaf(const Shape& shape, const std::function<double()>& draw);
  Tensor values(const Shape& shape, const std::function<double()>& draw);
  Shape empty_like(const Shape& shape) const;

  Sequence numbers_;
  DType dtype_;
  Device device_;
  Variant variant_;
  Variables leaves_;
  Variables placed_;
};

// One example of an op: builds its inputs and returns the output (or one of them).
class Case {
 public:
  Case(const char* name, std::function<Variable(Samples&)> run) : name(name), run(std::move(run)) {}
  Case& without(Variant variant, const char* reason);  // opt out of a derived variant
  Case& at_tolerance(double first, double second, const char* reason);
  Case& first_order_only(const char* reason);
  // On a kink differences mean nothing: the gradients of sum(output) for all leaves, in order, are
  // these.
  Case& states(std::vector<double> gradient);

  std::string name;
  std::function<Variable(Samples&)> run;
  std::vector<std::pair<Variant, std::string>> excluded;
  double first_bar = 1e-7, second_bar = 1e-6;
  bool second_order = true;
  std::vector<double> stated;
  std::string note;  // the reason for a tolerance or an exception
};

struct NotDifferentiable {};
inline constexpr NotDifferentiable not_differentiable;

// A vjp (g, wants) → gradients, or (g, y, wants) → gradients; only the second form keeps the output
// y. Written in Variables, so that gradients have gradients. none means identically zero.
using Vjp = std::function<Variables(const Variable& g, const Variable& y, const Wants& wants)>;
using Vjps = std::function<Variables(const Variables& g, const Variables& y, const Wants& wants)>;
// The fast vjp of a fused op, with recording off, and its definition in plain ops.
using Fast = std::function<Tensors(const Tensors& g, const Tensors& y, const Wants& wants)>;
using Definition = std::function<Variables(const Variables& inputs)>;

class Op {
 public:
  template <class... More>
  Op(const char* name, Case first, More... more)
      : Op(name, true, {std::move(first), std::move(more)...}) {}
  template <class... More>
  Op(const char* name, NotDifferentiable, Case first, More... more)
      : Op(name, false, {std::move(first), std::move(more)...}) {}
  Op(const Op&) = delete;

  // One output. `vjp` takes (g, wants) or (g, y, wants).
  template <class F>
  Variable record(Tensor value, const Variables& inputs, F vjp) const {
    if constexpr (std::is_invocable_v<F, const Variable&, const Variable&, const Wants&>)
      return record_one(std::move(value), inputs, Vjp(std::move(vjp)), true);
    else
      return record_one(
          std::move(value), inputs,
          [vjp = std::move(vjp)](const Variable& g, const Variable&, const Wants& w) {
            return vjp(g, w);
          },
          false);
  }
  // Several outputs, one node; the g of an unused output is none.
  Variables record(Tensors values, const Variables& inputs, Vjps vjp, bool keeps_outputs) const;
  // A fused op: with recording off backward runs `fast`, with recording on the engine
  // differentiates `definition`. `fast` gets no y where outputs are not kept.
  Variables fused(Tensors values, const Variables& inputs, Fast fast, Definition definition,
                  bool keeps_outputs) const;
  // The value of an op without a gradient: backward through it throws by name.
  Variable record(Tensor value, const Variables& inputs) const;

  const char* name() const { return name_; }
  bool differentiable() const { return differentiable_; }
  const std::vector<Case>& cases() const { return cases_; }

 private:
  Op(const char* name, bool differentiable, std::vector<Case> cases);
  Variable record_one(Tensor value, const Variables& inputs, Vjp vjp, bool keeps_output) const;

  const char* name_;
  bool differentiable_;
  std::vector<Case> cases_;
};

const std::vector<const Op*>& all_ops();  // in order of name

}  // namespace likely
