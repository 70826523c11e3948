// The front of the optimisers' passes: checks that all flat buffers fit together.
#include "kernels/optimiser.h"

#include <vector>

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

enum class Moments { none, first, second, both };

// Checks, logs the launch, and tells whether there is something to fill.
bool prepare(const char* operation, FlatState& state, const Tensor& step, Moments moments) {
  const Tensor& values = state.values;
  require(values.defined() && values.rank() == 1 && values.contiguous() &&
              (values.dtype() == DType::f32 || values.dtype() == DType::f64),
          "{}: the values are not one flat contiguous tensor of f32 or f64.", operation);
  check_flat(operation, "gradients", state.gradients, values);
  std::vector<Tensor*> written{&state.values, &state.count};
  if (moments == Moments::first || moments == Moments::both)
    written.push_back(&state.first);
  if (moments == Moments::second || moments == Moments::both)
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
  launched({operation, 0, bytes});
  return !values.is_meta();
}

}  // namespace

Family<OptimiserBackend>& optimiser_family() {
  static Family<OptimiserBackend> family("optimiser");
  return family;
}

void guard(const Tensor& gradient, const Tensor& loss, Tensor state) {
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
  if (!state.is_meta())
    optimiser_family().serving(gradient.device()).guard(gradient, loss, state);
}

void adam(const Adam& how, const Clip& clip, FlatState state, const Tensor& step) {
  if (prepare("adam", state, step, Moments::both))
    optimiser_family().serving(step.device()).adam(how, clip, state, step);
}

void rms_prop(const RmsProp& how, const Clip& clip, FlatState state, const Tensor& step) {
  if (prepare("rms_prop", state, step, Moments::second))
    optimiser_family().serving(step.device()).rms_prop(how, clip, state, step);
}

void sgd(const Sgd& how, const Clip& clip, FlatState state, const Tensor& step) {
  if (prepare("sgd", state, step, how.momentum != 0 ? Moments::first : Moments::none))
    optimiser_family().serving(step.device()).sgd(how, clip, state, step);
}

}  // namespace likely::kernels
