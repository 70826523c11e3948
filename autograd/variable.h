// Variable: a Tensor and its place on the tape.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "tensor/tensor.h"

namespace likely {

class Node;
class Saved;

// Where the gradient of a leaf accumulates: a slice of a flat buffer. The first contribution after
// `written` was cleared overwrites, later ones add.
struct Slot {
  Tensor gradient;
  bool written = false;
};

class Variable {
 public:
  Variable() = default;                                 // none: as a gradient, identically zero
  Variable(Tensor value) : value_(std::move(value)) {}  // a constant
  static Variable leaf(Tensor value, std::shared_ptr<Slot> slot = nullptr);  // gradients are wanted

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  std::int64_t size(int axis) const { return value_.size(axis); }
  int rank() const { return value_.rank(); }
  DType dtype() const { return value_.dtype(); }
  Device device() const { return value_.device(); }

  bool wants_gradient() const { return node_ != nullptr; }
  Saved saved() const;  // for a vjp to capture: remembers the storage's version
  Saved saved_for(const Variable& other) const;  // nothing unless other's gradient is wanted

  const std::shared_ptr<Node>& node() const { return node_; }
  int output() const { return output_; }

 private:
  friend class Node;
  Variable(Tensor value, std::shared_ptr<Node> node, int output)
      : value_(std::move(value)), node_(std::move(node)), output_(output) {}

  Tensor value_;
  std::shared_ptr<Node> node_;  // null: a constant
  int output_ = 0;
};
using Variables = std::vector<Variable>;
inline const Variable none;

// What a vjp keeps. Reading it after its storage was written throws, naming the op that saved it.
class Saved {
 public:
  Saved() = default;
  explicit Saved(Variable variable)
      : variable_(std::move(variable)), version_(variable_.value().version()) {}
  operator const Variable&() const { return get(); }
  const Variable& get() const;
  bool defined() const { return variable_.defined(); }

 private:
  Variable variable_;
  std::uint64_t version_ = 0;
};

// Whether an input's gradient is wanted and, during an ordinary backward, the slice it may be
// written to.
struct Want {
  bool wanted = false;
  kernels::Into into;
  explicit operator bool() const { return wanted; }
  operator const kernels::Into&() const { return into; }
};
using Wants = std::vector<Want>;

enum class Recorded { no, yes };

// d output / d input for each input, none where it does not depend on it. `cotangent` (ones for a
// scalar output) has the output's shape. Recorded::yes makes the results differentiable; the
// forward must then have run under TwiceDifferentiable where it used fused ops. Leaves with slots
// are not touched.
Variables gradients(const Variable& output, const Variables& inputs, const Variable& cotangent = {},
                    Recorded recorded = Recorded::no);

// The gradient of a scalar loss into the slots of all leaves that have one. Frees the tape as it
// goes.
void backward(const Variable& loss);

// While alive: operations are not put on the tape.
class NotRecording {
 public:
  NotRecording();
  ~NotRecording();
  NotRecording(const NotRecording&) = delete;

 private:
  bool before_;
};

// While alive: fused ops keep the inputs of their definition, so that gradients may be
// differentiated.
class TwiceDifferentiable {
 public:
  TwiceDifferentiable();
  ~TwiceDifferentiable();
  TwiceDifferentiable(const TwiceDifferentiable&) = delete;

 private:
  bool before_;
};

bool recording();

// Runs f now without a tape, and again during backward: memory for time. f draws its random numbers
// from Draws that it captured, so both runs agree; gradients also reach the parameters it uses.
Variable recompute(const std::function<Variable(const Variables&)>& f, const Variables& inputs);
bool recomputing();  // inside that second run: buffers are not staged again

// While alive, sees every value that an op produces and every gradient that a vjp returns, in
// order.
class Watch {
 public:
  Watch();
  virtual ~Watch();
  Watch(const Watch&) = delete;
  virtual void value(const char* op, int output, Tensor& value) = 0;
  virtual void gradient(const char* op, int input, Tensor& gradient) = 0;
  virtual void kink(const Tensor& x);  // the input of an op whose slope jumps at 0

 private:
  friend void watch_value(const char* op, int output, Tensor& value);
  friend void watch_gradient(const char* op, int input, Tensor& gradient);
  friend void watch_kink(const Tensor& x);
  static void each(Watch* watch, const std::function<void(Watch&)>& tell);
  Watch* outer_;
};

// Throws Diverged at the first value or gradient that is not finite, naming op, output and index.
class FiniteCheck : public Watch {
 public:
  void value(const char* op, int output, Tensor& value) override;
  void gradient(const char* op, int input, Tensor& gradient) override;
};

}  // namespace likely
