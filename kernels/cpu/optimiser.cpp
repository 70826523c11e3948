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

struct Norm {
  double value;
  bool finite;  // all elements; their norm may overflow all the same
};

template <class T>
Norm norm_of(const Tensor& gradient) {
  const T* x = gradient.data<T>();
  const std::int64_t size = gradient.numel();
  const auto part = static_cast<std::int64_t>(
      std::bit_ceil(static_cast<std::uint64_t>(std::max(2 * chunk, (size - 1) / most_parts + 1))));
  double sums[most_parts] = {}, finite[most_parts] = {};
  parallel_for(size, part, [&](std::int64_t begin, std::int64_t end) {
    loops<T>().squares(x + begin, end - begin, &sums[begin / part], &finite[begin / part]);
  });
  return {std::sqrt(sum_in_pairs(sums, most_parts)),
          std::all_of(finite, finite + most_parts, [](double zero) { return zero == 0; })};
}

void guard(const Tensor& gradient, const Tensor& loss, const GuardLimits& limits, Tensor& step,
           void*) {
  StepState state = read(step);
  const double value = loss.item<double>();
  const Norm norm =
      gradient.dtype() == DType::f32 ? norm_of<float>(gradient) : norm_of<double>(gradient);
  state.loss = static_cast<float>(value);
  state.gradient_norm = static_cast<float>(norm.value);
  if (!norm.finite || !std::isfinite(value))
    state.non_finite |= flag::not_finite;
  else if (exceeds(limits, norm.value, state.rate))
    state.non_finite |= flag::too_large;
  std::memcpy(step.raw(), &state, sizeof state);
}

template <class T>
bool all_finite(const Tensor& x) {
  return std::all_of(x.data<T>(), x.data<T>() + x.numel(), [](T v) { return std::isfinite(v); });
}

void check_finite(const Tensors& buffers, Tensor& step) {
  StepState state = read(step);
  for (const Tensor& buffer : buffers)
    if (!(buffer.dtype() == DType::f32 ? all_finite<float>(buffer) : all_finite<double>(buffer)))
      state.non_finite |= flag::buffer;
  std::memcpy(step.raw(), &state, sizeof state);
}

std::size_t no_workspace(const Tensor&) { return 0; }

// Elements [begin, end) of one segment; where its rate is 0 only the average moves.
template <class T>
void pass_over(std::int64_t begin, std::int64_t end, const Segment& segment, PassSettings settings,
               const FlatState& state, const StepState& now, std::int64_t count,
               void (*loop)(const OptimiserRange<T>&)) {
  settings.rate = segment.rate;
  settings.weight_decay = segment.weight_decay;
  const auto at = [begin](const Tensor& x) { return x.defined() ? x.data<T>() + begin : nullptr; };
  const OptimiserRange<T> range{
      end - begin,
      at(state.values),
      at(state.gradients),
      at(state.first),
      at(state.second),
      at(state.average),
      numbers_of<T>(settings, now.rate, now.gradient_norm, static_cast<double>(count))};
  if (segment.rate != 0)
    loop(range);
  else if (range.average)
    loops<T>().follow(range);
}

template <class T>
void pass_with(const PassSettings& settings, const FlatState& state, Tensor& step,
               void (*loop)(const OptimiserRange<T>&)) {
  StepState now = read(step);
  if (now.non_finite)
    return;
  std::int64_t& count = *state.count.data<std::int64_t>();
  ++count;
  parallel_for(state.values.numel(), chunk, [&](std::int64_t begin, std::int64_t end) {
    for (const Segment& segment : state.segments) {
      const std::int64_t from = std::max(begin, segment.begin), to = std::min(end, segment.end);
      if (from < to)
        pass_over(from, to, segment, settings, state, now, count, loop);
    }
  });
  ++now.update;
  std::memcpy(step.raw(), &now, sizeof now);
}

void pass(Method method, const PassSettings& settings, const FlatState& state, Tensor& step) {
  const auto with = [&]<class T>(const OptimiserLoops<T>& table) {
    pass_with(settings, state, step,
              method == Method::adam       ? table.adam
              : method == Method::rms_prop ? table.rms_prop
              : method == Method::momentum ? table.momentum
                                           : table.sgd);
  };
  state.values.dtype() == DType::f32 ? with(loops<float>()) : with(loops<double>());
}

void commit(Tensor& to, const Tensor& from, const Tensor& step) {
  if (!read(step).non_finite)
    std::memcpy(to.raw(), from.raw(), to.bytes());
}

const Registered<OptimiserBackend> registered(optimiser_family(), Device::cpu, Source::own,
                                              {"flat", no_workspace, guard, check_finite, pass,
                                               commit});

}  // namespace
}  // namespace likely::kernels
