// The passes of an update over flat buffers: guard, Adam, RMSProp, moving average; and what else
// follows the guard's flag. All read StepState on the device, so the host need not wait for it.
#pragma once
#include <limits>

#include "kernels/backend.h"
#include "tensor/random.h"

namespace likely::kernels {

struct Clip {
  float norm =
      0;  // scales the gradient to at most this norm (StepState.gradient_norm); 0: no clipping
};

// What an update may be made of, so that neither a value nor a moment ever overflows (limits_of).
struct GuardLimits {
  double norm = std::numeric_limits<float>::max();     // of the gradient
  double clipped = std::numeric_limits<float>::max();  // of the gradient, once clipped
  double rate = std::numeric_limits<double>::infinity();
  double clip = 0;
};

// Bits of StepState.non_finite.
namespace flag {
constexpr std::uint32_t not_finite = 1,  // the loss or a gradient
    too_large = 2,                       // all of them are finite, but a limit is exceeded
    buffer = 4;                          // one of check_finite's is not finite
}  // namespace flag

// Writes loss, ‖gradient‖₂ (in f64, tree fixed by the size) and the non-finite flag into `state`.
// The flag is raised where the loss or any gradient is not finite, or the norm or the rate exceeds
// its limit; it is never lowered here. `gradient` is f32 or f64, flat.
void guard(const Tensor& gradient, const Tensor& loss, Tensor state,
           const GuardLimits& limits = {});

// Raises the flag where an element of one of these is not finite; contiguous, f32 or f64.
void check_finite(const Tensors& buffers, Tensor state);

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

// Under these limits a pass cannot overflow, in 2^32 updates: a second moment is a mean of squares
// of clipped gradients, whose norms are below the root of the largest number; and no update moves a
// value by more than 2^-32 of it, for each method bounds its step. `segments` as FlatState has
// them.
GuardLimits limits_of(const Adam& how, const Clip& clip, const FlatState& state);
GuardLimits limits_of(const RmsProp& how, const Clip& clip, const FlatState& state);
GuardLimits limits_of(const Sgd& how, const Clip& clip, const FlatState& state);

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
  void (*guard)(const Tensor& gradient, const Tensor& loss, const GuardLimits& limits,
                Tensor& state, void* workspace);
  void (*check_finite)(const Tensors& buffers, Tensor& state);  // of one type, none empty
  void (*pass)(Method method, const PassSettings& settings, const FlatState& state, Tensor& step);
  void (*commit)(Tensor& to, const Tensor& from, const Tensor& step);
};
Family<OptimiserBackend>& optimiser_family();

}  // namespace likely::kernels
