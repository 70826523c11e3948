// Optimisers on the CPU: the numbers of a pass from the step state, and ranges shared out among
// threads. The loops are in isa/optimiser.cpp.
#include "kernels/optimiser.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/optimiser.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t chunk = 1 << 14;   // elements a thread takes at a time
constexpr std::int64_t most_parts = 256;  // of the norm

template <class T>
const OptimiserLoops<T>& loops() {
  const OptimiserTable& table = for_isa(isa_v3::optimiser_table, isa_v4::optimiser_table);
  if constexpr (std::is_same_v<T, float>)
    return table.f32;
  else
    return table.f64;
}

StepState read(const Tensor& step) {
  StepState state;
  std::memcpy(&state, step.raw(), sizeof state);
  return state;
}

double sum_in_pairs(const double* x, std::int64_t count) {
  if (count == 1)
    return *x;
  const auto half = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(count)) / 2);
  return sum_in_pairs(x, half) + sum_in_pairs(x + half, count - half);
}

template <class T>
void guard_typed(const Tensor& gradient, StepState& state) {
  const T* x = gradient.data<T>();
  const std::int64_t size = gradient.numel();
  const auto part = static_cast<std::int64_t>(
      std::bit_ceil(static_cast<std::uint64_t>(std::max(2 * chunk, (size - 1) / most_parts + 1))));
  double sums[most_parts] = {}, finite[most_parts] = {};
  parallel_for(size, part, [&](std::int64_t begin, std::int64_t end) {
    loops<T>().squares(x + begin, end - begin, &sums[begin / part], &finite[begin / part]);
  });
  state.gradient_norm = static_cast<float>(std::sqrt(sum_in_pairs(sums, most_parts)));
  if (!std::all_of(finite, finite + most_parts, [](double zero) { return zero == 0; }))
    state.non_finite = 1;
}

void guard(const Tensor& gradient, const Tensor& loss, Tensor& step) {
  StepState state = read(step);
  const double value = loss.item<double>();
  state.loss = static_cast<float>(value);
  if (!std::isfinite(value))
    state.non_finite = 1;
  gradient.dtype() == DType::f32 ? guard_typed<float>(gradient, state)
                                 : guard_typed<double>(gradient, state);
  std::memcpy(step.raw(), &state, sizeof state);
}

// What one pass does to each segment. Numbers are worked out in f64.
struct Pass {
  const Clip& clip;
  FlatState& state;
  const StepState now;
  const std::int64_t count;  // this update among them
  double beta1 = 0, beta2 = 0, epsilon = 0;
  bool corrects = false;  // the bias of the moments, as Adam does

  Pass(const Clip& clip, FlatState& state, const Tensor& step)
      : clip(clip), state(state), now(read(step)), count(*state.count.data<std::int64_t>() + 1) {}

  template <class T>
  OptimiserRange<T> range(std::int64_t begin, std::int64_t end, const Segment& segment) const {
    const auto at = [begin](const Tensor& x) {
      return x.defined() ? x.data<T>() + begin : nullptr;
    };
    const double t = static_cast<double>(count), rate = double{now.rate} * segment.rate;
    const double norm = now.gradient_norm;
    OptimiserRange<T> range{};
    range.count = end - begin;
    range.values = at(state.values);
    range.gradients = at(state.gradients);
    range.first = at(state.first);
    range.second = at(state.second);
    range.average = at(state.average);
    range.scale = static_cast<T>(clip.norm > 0 && norm > clip.norm ? clip.norm / norm : 1);
    range.rate = static_cast<T>(corrects ? rate / (1 - std::pow(beta1, t)) : rate);
    range.decay = static_cast<T>(rate * segment.weight_decay);
    range.beta1 = static_cast<T>(beta1);
    range.weight1 = static_cast<T>(1 - beta1);
    range.beta2 = static_cast<T>(beta2);
    range.weight2 = static_cast<T>(1 - beta2);
    range.correction = static_cast<T>(corrects ? 1 / std::sqrt(1 - std::pow(beta2, t)) : 1);
    range.epsilon = static_cast<T>(epsilon);
    range.average_weight =
        static_cast<T>(1 - std::min<double>(state.average_decay, (1 + t) / (10 + t)));
    return range;
  }

  template <class T>
  void run(void (*loop)(const OptimiserRange<T>&)) const {
    if (now.non_finite)
      return;
    parallel_for(state.values.numel(), chunk, [&](std::int64_t begin, std::int64_t end) {
      for (const Segment& segment : state.segments) {
        const std::int64_t from = std::max(begin, segment.begin), to = std::min(end, segment.end);
        if (from >= to)
          continue;
        const OptimiserRange<T> part = range<T>(from, to, segment);
        if (segment.rate != 0)
          loop(part);
        else if (part.average)
          loops<T>().follow(part);
      }
    });
    *state.count.data<std::int64_t>() = count;
  }

  // Of the table for the values' type.
  template <class Choose>
  void run(Choose choose) const {
    state.values.dtype() == DType::f32 ? run<float>(choose(loops<float>()))
                                       : run<double>(choose(loops<double>()));
  }
};

void adam(const Adam& how, const Clip& clip, FlatState& state, const Tensor& step) {
  Pass pass(clip, state, step);
  pass.beta1 = how.beta1;
  pass.beta2 = how.beta2;
  pass.epsilon = how.epsilon;
  pass.corrects = true;
  pass.run([](const auto& table) { return table.adam; });
}

void rms_prop(const RmsProp& how, const Clip& clip, FlatState& state, const Tensor& step) {
  Pass pass(clip, state, step);
  pass.beta2 = how.decay;
  pass.epsilon = how.epsilon;
  pass.run([](const auto& table) { return table.rms_prop; });
}

void sgd(const Sgd& how, const Clip& clip, FlatState& state, const Tensor& step) {
  Pass pass(clip, state, step);
  pass.beta1 = how.momentum;
  pass.run([&](const auto& table) { return how.momentum != 0 ? table.momentum : table.sgd; });
}

const Registered<OptimiserBackend> registered(optimiser_family(), Device::cpu, Source::own,
                                              {"flat", guard, adam, rms_prop, sgd});

}  // namespace
}  // namespace likely::kernels
