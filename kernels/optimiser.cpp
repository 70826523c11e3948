// The front of the optimisers' passes: checks that all flat buffers fit together.
#include "kernels/optimiser.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "kernels/optimiser_formulas.h"

namespace likely::kernels {
namespace {

void check_state(const char* operation, const Tensor& state, Device device) {
  require(state.defined() && state.dtype() == DType::u8 && state.contiguous() &&
              state.bytes() == sizeof(StepState) && state.device() == device,
          "{}: there is no step state on {}. Use make_step_state().", operation, device);
}

void check_flat(const char* operation, const char* name, const Tensor& tensor, const Tensor& like) {
  require(tensor.defined(), "{}: there is no tensor of {}. Give one like the values.", operation,
          name);
  require(
      tensor.shape() == like.shape() && tensor.dtype() == like.dtype() &&
          tensor.device() == like.device() && tensor.contiguous(),
      "{}: the {} do not match the values: {} {} on {} beside {} {} on {}. Make them contiguous "
      "and alike.",
      operation, name, tensor.shape(), tensor.dtype(), tensor.device(), like.shape(), like.dtype(),
      like.device());
}

void check_segments(const char* operation, std::vector<Segment>& segments, std::int64_t size) {
  if (segments.empty())
    segments = {{0, size}};
  std::int64_t covered = 0;
  for (const Segment& segment : segments) {
    require(segment.begin == covered && segment.end >= segment.begin,
            "{}: segment [{}, {}) does not begin at {}, where the last one ends. Give ascending "
            "ones without gaps.",
            operation, segment.begin, segment.end, covered);
    covered = segment.end;
  }
  require(covered == size, "{}: the segments end at {}, the values at {}. Cover them all.",
          operation, covered, size);
}

struct UsedMoments {
  bool first, second;
};
template <class Step>
constexpr UsedMoments moments_of{Step::first, Step::second};

// Checks and logs the launch.
void prepare(const char* operation, FlatState& state, Tensor& step, UsedMoments moments) {
  const Tensor& values = state.values;
  require(values.defined() && values.rank() == 1 && values.contiguous() &&
              (values.dtype() == DType::f32 || values.dtype() == DType::f64),
          "{}: the values are not one flat contiguous tensor of f32 or f64.", operation);
  check_flat(operation, "gradients", state.gradients, values);
  std::vector<Tensor*> written{&state.values, &state.count};
  if (moments.first)
    written.push_back(&state.first);
  if (moments.second)
    written.push_back(&state.second);
  if (state.average.defined())
    written.push_back(&state.average);
  for (const Tensor* tensor : written)
    if (tensor != &state.count)
      check_flat(operation,
                 tensor == &state.first    ? "first moments"
                 : tensor == &state.second ? "second moments"
                                           : "averages",
                 *tensor, values);
  require(state.count.defined() && state.count.dtype() == DType::i64 && state.count.numel() == 1 &&
              state.count.device() == values.device(),
          "{}: the count is not one i64 on {}. Begin with 0.", operation, values.device());
  check_state(operation, step, values.device());
  check_segments(operation, state.segments, values.numel());

  double bytes = static_cast<double>(state.gradients.bytes());
  for (const Tensor* tensor : written) {
    bytes += 2 * static_cast<double>(tensor->bytes());
    tensor->storage()->written();
  }
  step.storage()->written();
  launched({operation, 0, bytes});
}

void check_epsilon(const char* operation, float epsilon) {
  require(epsilon > 0, "{}: epsilon is {}: a gradient of 0 would be divided by 0. Use one above 0.",
          operation, epsilon);
}

double largest(const FlatState& state) {
  return state.values.dtype() == DType::f64 ? std::numeric_limits<double>::max()
                                            : std::numeric_limits<float>::max();
}

// Of a clipped gradient: its square is far from overflow. (StepState keeps norms in f32.)
double most_norm(const FlatState& state) {
  return std::min(std::sqrt(largest(state) / 16),
                  static_cast<double>(std::numeric_limits<float>::max()));
}

// For a method that moves a value by at most `step` times the rate.
GuardLimits limits_of(double step, const Clip& clip, const FlatState& state) {
  double factor = state.segments.empty() ? 1 : 0, decay = 0;
  for (const Segment& segment : state.segments) {
    factor = std::max(factor, std::abs(double{segment.rate}));
    decay = std::max(decay, std::abs(double{segment.rate} * segment.weight_decay));
  }
  GuardLimits limits;
  limits.clip = clip.norm;
  limits.clipped = most_norm(state);
  if (clip.norm > 0)  // the factor that clips must not underflow
    limits.norm = std::min(limits.norm, clip.norm / double{std::numeric_limits<float>::min()});
  limits.rate = std::min(largest(state) * 0x1p-32 / (step * factor), 2 / decay);
  return limits;
}

void pass(const char* operation, Method method, UsedMoments moments, PassSettings settings,
          const Clip& clip, FlatState& state, Tensor& step) {
  prepare(operation, state, step, moments);
  settings.clip = clip.norm;
  settings.average_decay = state.average_decay;
  settings.bound = state.bound;
  if (!step.is_meta())
    optimiser_family().serving(step.device()).pass(method, settings, state, step);
}

}  // namespace

Family<OptimiserBackend>& optimiser_family() {
  static Family<OptimiserBackend> family("optimiser");
  return family;
}

void guard(const Tensor& gradient, const Tensor& loss, Tensor state, const GuardLimits& limits) {
  require(gradient.defined() && gradient.rank() == 1 && gradient.contiguous() &&
              (gradient.dtype() == DType::f32 || gradient.dtype() == DType::f64),
          "guard: the gradient is not one flat contiguous tensor of f32 or f64.");
  require(loss.defined() && is_floating(loss.dtype()) && loss.numel() == 1 &&
              loss.device() == gradient.device(),
          "guard: the loss is not one floating-point number on {}. Reduce it to one.",
          gradient.device());
  check_state("guard", state, gradient.device());
  launched({"guard", 0, static_cast<double>(gradient.bytes())});
  state.storage()->written();
  const OptimiserBackend& backend = optimiser_family().serving(gradient.device());
  const auto bytes = static_cast<std::int64_t>(backend.guard_workspace(gradient));
  const Tensor workspace = bytes ? Tensor::empty({bytes}, DType::u8, gradient.device()) : Tensor();
  if (!state.is_meta())
    backend.guard(gradient, loss, limits, state, bytes ? workspace.raw() : nullptr);
}

void check_finite(const Tensors& buffers, Tensor state) {
  std::map<DType, Tensors> by_type;
  for (const Tensor& buffer : buffers) {
    require(buffer.defined() && buffer.contiguous() &&
                (buffer.dtype() == DType::f32 || buffer.dtype() == DType::f64),
            "check_finite: a buffer is not contiguous, of f32 or f64.");
    check_state("check_finite", state, buffer.device());
    if (buffer.numel() > 0)
      by_type[buffer.dtype()].push_back(buffer);
  }
  for (const auto& [dtype, alike] : by_type) {
    double bytes = 0;
    for (const Tensor& buffer : alike)
      bytes += static_cast<double>(buffer.bytes());
    launched({"check_finite", 0, bytes});
    state.storage()->written();
    if (!state.is_meta())
      optimiser_family().serving(state.device()).check_finite(alike, state);
  }
}

void adam(const Adam& how, const Clip& clip, FlatState state, Tensor step) {
  check_epsilon("adam", how.epsilon);
  pass("adam", Method::adam, moments_of<AdamStep>,
       {.beta1 = how.beta1, .beta2 = how.beta2, .epsilon = how.epsilon, .corrects = true}, clip,
       state, step);
}

void rms_prop(const RmsProp& how, const Clip& clip, FlatState state, Tensor step) {
  check_epsilon("rms_prop", how.epsilon);
  pass("rms_prop", Method::rms_prop, moments_of<RmsPropStep>,
       {.beta2 = how.decay, .epsilon = how.epsilon}, clip, state, step);
}

void sgd(const Sgd& how, const Clip& clip, FlatState state, Tensor step) {
  if (how.momentum != 0)
    pass("sgd", Method::momentum, moments_of<MomentumStep>, {.beta1 = how.momentum}, clip, state,
         step);
  else
    pass("sgd", Method::sgd, moments_of<SgdStep>, {}, clip, state, step);
}

GuardLimits limits_of(const Adam& how, const Clip& clip, const FlatState& state) {
  // |m̂| / √v̂ ≤ this, by Cauchy and Schwarz; where their sum diverges, m / ε of the largest m.
  const double ratio = double{how.beta1} * how.beta1 / how.beta2;
  return limits_of(ratio < 1 ? 1 / std::sqrt((1 - double{how.beta2}) * (1 - ratio))
                             : most_norm(state) / ((1 - double{how.beta1}) * how.epsilon),
                   clip, state);
}

GuardLimits limits_of(const RmsProp& how, const Clip& clip, const FlatState& state) {
  return limits_of(
      how.decay < 1 ? 1 / std::sqrt(1 - double{how.decay}) : most_norm(state) / how.epsilon, clip,
      state);
}

GuardLimits limits_of(const Sgd& how, const Clip& clip, const FlatState& state) {
  return limits_of(most_norm(state) / std::max(1 - double{how.momentum}, 0x1p-32), clip, state);
}

void commit(Tensor to, const Tensor& from, const Tensor& step) {
  require(to.defined() && from.defined() && to.shape() == from.shape() &&
              to.dtype() == from.dtype() && to.device() == from.device() && to.contiguous() &&
              from.contiguous() && to.bytes() % 4 == 0,
          "commit: {} {} into {} {}. Give contiguous tensors of one shape and type.", from.dtype(),
          from.shape(), to.dtype(), to.shape());
  check_state("commit", step, to.device());
  launched({"commit", 0, 2 * static_cast<double>(to.bytes())});
  to.storage()->written();
  if (!to.is_meta() && to.numel() > 0)
    optimiser_family().serving(to.device()).commit(to, from, step);
}

}  // namespace likely::kernels
