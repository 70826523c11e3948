// The passes of an update over flat buffers: guard, Adam, RMSProp, moving average; and what else
// follows the guard's flag. All read StepState on the device, so the host need not wait for it.
#pragma once
#include "kernels/backend.h"
#include "tensor/random.h"

namespace likely::kernels {

// Writes loss, ‖gradient‖₂ (in f64, tree fixed by the size) and the non-finite flag into `state`.
// The flag is raised where the loss or any gradient is not finite; it is never lowered here.
// `gradient` is f32 or f64, flat.
void guard(const Tensor& gradient, const Tensor& loss, Tensor state);

struct Clip {
  float norm =
      0;  // scales the gradient to at most this norm (StepState.gradient_norm); 0: no clipping
};

// A range of the flat buffer with its own factor on the rate and its own decoupled weight decay.
// Under the factor 0 values and moments stay; the average still follows.
struct Segment {
  std::int64_t begin, end;
  float rate = 1, weight_decay = 0;
};

// All flat, contiguous, and of one type, f32 or f64; `count` [1] i64 is this optimiser's own number
// of updates. A pass ends the update: it advances `count` and StepState's update. Under the
// non-finite flag nothing is written, neither of these included.
struct FlatState {
  Tensor values, gradients;
  Tensor first, second;  // moments (RMSProp uses `second` alone)
  Tensor count;
  Tensor average;           // EMA of the values, or undefined
  float average_decay = 0;  // with warm-up min(decay, (1 + count) / (10 + count)), this one counted
  float bound = 0;          // values are clamped to ± this (Arjovsky et al. 2017); 0: they are not
  std::vector<Segment>
      segments;  // disjoint and ascending, covering the buffer; empty: one of rate 1 without decay
};

// Kingma & Ba 2015, algorithm 1; weight decay decoupled (Loshchilov & Hutter 2019).
struct Adam {
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
};
void adam(const Adam& how, const Clip& clip, FlatState state, Tensor step);

// Tieleman & Hinton 2012, as in PyTorch: v ← ρ v + (1 - ρ) g², θ ← θ - rate g / (√v + ε).
struct RmsProp {
  float decay = 0.99f, epsilon = 1e-8f;
};
void rms_prop(const RmsProp& how, const Clip& clip, FlatState state, Tensor step);

// Plain gradient descent, with momentum in `first` where it is not 0.
struct Sgd {
  float momentum = 0;
};
void sgd(const Sgd& how, const Clip& clip, FlatState state, Tensor step);

// to = from, unless the flag is raised: both contiguous, of one shape and type, in words of 4
// bytes.
void commit(Tensor to, const Tensor& from, const Tensor& step);

// What a backend sees of a method: its element's step, and the numbers of a pass
// (optimiser_formulas.h), of which a segment's own rate and decay are still to be set.
enum class Method { adam, rms_prop, sgd, momentum };
struct PassSettings;

struct OptimiserBackend {
  const char* name;
  std::size_t (*guard_workspace)(const Tensor& gradient);  // bytes
  void (*guard)(const Tensor& gradient, const Tensor& loss, Tensor& state, void* workspace);
  void (*pass)(Method method, const PassSettings& settings, const FlatState& state, Tensor& step);
  void (*commit)(Tensor& to, const Tensor& from, const Tensor& step);
};
Family<OptimiserBackend>& optimiser_family();

}  // namespace likely::kernels
