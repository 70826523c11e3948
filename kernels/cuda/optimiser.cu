// Optimisers on CUDA: the guard in two launches, a launch for each segment of a pass, and one that
// counts. What they need of the step they read on the device.
#include <algorithm>

#include "kernels/cuda/elements.h"
#include "kernels/cuda/lanes.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/optimiser_proofs.h"
#include "kernels/optimiser.h"
#include "kernels/optimiser_formulas.h"

namespace likely::kernels {
namespace {

using namespace cuda;

constexpr int at_once = 8;                 // loads of a thread that are under way together
constexpr std::int64_t most_parts = 1024;  // of the gradient

// A sum of squares, and whether one of the numbers was not finite. (Squares of finite ones may
// overflow.)
struct Squares {
  double sum;
  std::uint32_t bad;
};
LIKELY_DEVICE Squares across(const Squares& x, int bit) {
  return {cuda::across(x.sum, bit), __shfl_xor_sync(all_lanes, x.bad, bit)};
}
struct Together {
  using Value = Squares;
  LIKELY_DEVICE static Squares start() { return {0, 0}; }
  LIKELY_DEVICE static Squares join(const Squares& a, const Squares& b) {
    return {a.sum + b.sum, a.bad | b.bad};
  }
};
using SharedSquares = Warps<Squares, 1>;

LIKELY_DEVICE std::uint32_t is_bad(double x) { return !(abs(x) < __builtin_inf()); }

template <class T>
constexpr std::int64_t round_elements = std::int64_t{at_once} * block_threads* Pack<T>::size;

// A block a part, `rounds` times as long as what a block's threads load at once.
template <class T>
__global__ void __launch_bounds__(block_threads, 2)
    squares_of_parts(const T* x, std::int64_t count, std::int64_t rounds, bool aligned,
                     Squares* parts) {
  constexpr int size = Pack<T>::size;
  constexpr std::int64_t step = block_threads * size;
  Squares value[size];
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    value[k] = Together::start();
  for (std::int64_t round = 0; round < rounds; ++round) {
    const std::int64_t first =
        (blockIdx.x * rounds + round) * round_elements<T> + threadIdx.x * size;
    Pack<T> pack[at_once];
    LIKELY_UNROLL
    for (int i = 0; i < at_once; ++i)
      pack[i] = load_some(x + first + i * step, count - first - i * step, aligned);
    LIKELY_UNROLL
    for (int i = 0; i < at_once; ++i) {  // zeros beyond the end
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k) {
        const double element = pack[i].value[k];
        value[k] = Together::join(value[k], {element * element, is_bad(element)});
      }
    }
  }
  Squares one[1] = {fold<Together>(value)};
  join<Together>(one, 1, block_threads, shared<SharedSquares>());
  if (threadIdx.x == 0)
    parts[blockIdx.x] = one[0];
}

// One block.
__global__ void __launch_bounds__(block_threads, 2)
    judge(const Squares* parts, std::int64_t count, const void* loss, DType dtype,
          GuardLimits limits, StepState* state) {
  Squares one[1] = {Together::start()};
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x)
    one[0] = Together::join(one[0], parts[i]);
  join<Together>(one, 1, block_threads, shared<SharedSquares>());
  if (threadIdx.x != 0)
    return;
  const double value = dtype == DType::f64   ? *static_cast<const double*>(loss)
                       : dtype == DType::f32 ? *static_cast<const float*>(loss)
                                             : static_cast<float>(*static_cast<const bf16*>(loss));
  state->loss = static_cast<float>(value);
  const double norm = sqrt(one[0].sum);
  state->gradient_norm = static_cast<float>(norm);
  if (one[0].bad | is_bad(value))
    state->non_finite |= flag::not_finite;
  else if (exceeds(limits, norm, state->rate))
    state->non_finite |= flag::too_large;
}

// Buffers of one launch.
constexpr std::size_t most_buffers = 32;
template <class T>
struct Buffers {
  const T* x[most_buffers];
  std::int64_t count[most_buffers];
  std::int32_t number;
};

// One block.
template <class T>
__global__ void __launch_bounds__(block_threads, 2)
    look_over(Buffers<T> buffers, StepState* state) {
  Squares one[1] = {Together::start()};
  for (std::int32_t k = 0; k < buffers.number; ++k)
    for (std::int64_t i = threadIdx.x; i < buffers.count[k]; i += blockDim.x)
      one[0].bad |= is_bad(buffers.x[k][i]);
  join<Together>(one, 1, block_threads, shared<SharedSquares>());
  if (threadIdx.x == 0 && one[0].bad)
    state->non_finite |= flag::buffer;
}

// The buffers of a segment; null where the method or the state has none.
template <class T>
struct Flat {
  std::int64_t size;
  T* values;
  const T* gradients;
  T *first, *second, *average;
  bool aligned;  // all of them, to 16 bytes
};

// One pack's place in them.
template <class T>
struct Place {
  std::int64_t at, left;
  bool aligned;
  LIKELY_DEVICE Pack<T> load(const T* buffer) const {
    return buffer ? load_some(buffer + at, left, aligned) : Pack<T>{};
  }
  LIKELY_DEVICE void store(T* buffer, const Pack<T>& pack) const {
    if (buffer)
      store_some(buffer + at, pack, left, aligned);
  }
};

// What a rate of 0 leaves to do: the average follows.
struct NoStep {
  static constexpr bool first = false, second = false;
};

constexpr int packs = 4;  // of a thread

template <class Step, class T>
__global__ void __launch_bounds__(block_threads, 2)
    pass_over(Flat<T> flat, PassSettings settings, const StepState* now,
              const std::int64_t* count) {
  constexpr int size = Pack<T>::size;
  if (now->non_finite)
    return;
  auto& numbers = shared<PassNumbers<T>>();
  if (threadIdx.x == 0)
    numbers =
        numbers_of<T>(settings, now->rate, now->gradient_norm, static_cast<double>(*count + 1));
  __syncthreads();
  const PassNumbers<T> n = numbers;
  for (int i = 0; i < packs; ++i) {
    const std::int64_t at =
        ((std::int64_t{blockIdx.x} * packs + i) * block_threads + threadIdx.x) * size;
    const Place<T> place{at, flat.size - at, flat.aligned};
    if (place.left <= 0)
      return;
    const Pack<T> gradient = place.load(flat.gradients);
    Pack<T> value = place.load(flat.values), first = place.load(flat.first),
            second = place.load(flat.second), average = place.load(flat.average);
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k) {
      if constexpr (!std::is_same_v<Step, NoStep>)
        value.value[k] =
            updated<Step>(n, value.value[k], gradient.value[k], first.value[k], second.value[k]);
      average.value[k] = followed(n, average.value[k], value.value[k]);
    }
    if constexpr (!std::is_same_v<Step, NoStep>)
      place.store(flat.values, value);
    place.store(flat.first, first);
    place.store(flat.second, second);
    place.store(flat.average, average);
  }
}

// Ends an update.
__global__ void __launch_bounds__(1) advance(StepState* now, std::int64_t* count) {
  if (now->non_finite)
    return;
  ++*count;
  ++now->update;
}

__global__ void __launch_bounds__(block_threads)
    copy_words(std::uint32_t* to, const std::uint32_t* from, std::int64_t count,
               const StepState* now) {
  const std::int64_t at = thread_number();
  if (at < count && !now->non_finite)
    to[at] = from[at];
}

// How the gradient is cut: parts of so many rounds each.
struct Parts {
  std::int64_t count, rounds;
};
template <class T>
Parts parts_of(std::int64_t size) {
  const std::int64_t rounds = std::max<std::int64_t>(quotient_up(size, round_elements<T>), 1);
  const std::int64_t of_part = quotient_up(rounds, most_parts);
  return {quotient_up(rounds, of_part), of_part};
}

template <class T>
void guard_with(const Tensor& gradient, const Tensor& loss, const GuardLimits& limits,
                Tensor& state, void* workspace) {
  const Parts parts = parts_of<T>(gradient.numel());
  auto* squares = static_cast<Squares*>(workspace);
  const T* x = gradient.data<T>();
  const Variant& variant = OptimiserVariants<T>::guard;
  launch(variant, squares_of_parts<T>,
         {static_cast<unsigned>(parts.count), block_threads, sizeof(SharedSquares)}, x,
         gradient.numel(), parts.rounds, aligned16(x), squares);
  launch(variant, judge, {1, block_threads, sizeof(SharedSquares)}, squares, parts.count,
         loss.raw(), loss.dtype(), limits, static_cast<StepState*>(state.raw()));
}

void guard(const Tensor& gradient, const Tensor& loss, const GuardLimits& limits, Tensor& state,
           void* workspace) {
  gradient.dtype() == DType::f32 ? guard_with<float>(gradient, loss, limits, state, workspace)
                                 : guard_with<double>(gradient, loss, limits, state, workspace);
}

template <class T>
void check_finite_with(const Tensors& buffers, Tensor& state) {
  for (std::size_t begin = 0; begin < buffers.size(); begin += most_buffers) {
    Buffers<T> some{};
    for (std::size_t i = begin; i < std::min(begin + most_buffers, buffers.size()); ++i) {
      some.x[some.number] = buffers[i].data<T>();
      some.count[some.number++] = buffers[i].numel();
    }
    launch(OptimiserVariants<T>::check_finite, look_over<T>,
           {1, block_threads, sizeof(SharedSquares)}, some, static_cast<StepState*>(state.raw()));
  }
}

void check_finite(const Tensors& buffers, Tensor& state) {
  buffers[0].dtype() == DType::f32 ? check_finite_with<float>(buffers, state)
                                   : check_finite_with<double>(buffers, state);
}

std::size_t guard_workspace(const Tensor& gradient) {
  const Parts parts = gradient.dtype() == DType::f32 ? parts_of<float>(gradient.numel())
                                                     : parts_of<double>(gradient.numel());
  return static_cast<std::size_t>(parts.count) * sizeof(Squares);
}

template <class Step, class T>
void launch_over(const Variant& variant, const Segment& segment, PassSettings settings,
                 const FlatState& state, const Tensor& step) {
  settings.rate = segment.rate;
  settings.weight_decay = segment.weight_decay;
  bool aligned = true;
  const auto at = [&](const Tensor& x, bool wanted) {
    T* buffer = wanted && x.defined() ? x.data<T>() + segment.begin : nullptr;
    aligned = aligned && aligned16(buffer);
    return buffer;
  };
  Flat<T> flat{};
  flat.size = segment.end - segment.begin;
  flat.values = at(state.values, true);
  flat.gradients = at(state.gradients, !std::is_same_v<Step, NoStep>);
  flat.first = at(state.first, Step::first);
  flat.second = at(state.second, Step::second);
  flat.average = at(state.average, true);
  flat.aligned = aligned;
  constexpr std::int64_t elements = std::int64_t{packs} * block_threads * Pack<T>::size;
  launch(variant, pass_over<Step, T>,
         {static_cast<unsigned>(quotient_up(flat.size, elements)), block_threads,
          sizeof(PassNumbers<T>)},
         flat, settings, static_cast<const StepState*>(step.raw()),
         state.count.data<std::int64_t>());
}

template <class Step, class T>
void pass_with(const Variant& variant, const PassSettings& settings, const FlatState& state,
               Tensor& step) {
  for (const Segment& segment : state.segments)
    if (segment.begin == segment.end)
      continue;
    else if (segment.rate != 0)
      launch_over<Step, T>(variant, segment, settings, state, step);
    else if (state.average.defined())
      launch_over<NoStep, T>(OptimiserVariants<T>::follow, segment, settings, state, step);
  launch(variant, advance, {1, 1}, static_cast<StepState*>(step.raw()),
         state.count.data<std::int64_t>());
}

void pass(Method method, const PassSettings& settings, const FlatState& state, Tensor& step) {
  const auto with = [&]<class T>(Type<T>) {
    using All = OptimiserVariants<T>;
    switch (method) {
      case Method::adam:
        return pass_with<AdamStep, T>(All::adam, settings, state, step);
      case Method::rms_prop:
        return pass_with<RmsPropStep, T>(All::rms_prop, settings, state, step);
      case Method::sgd:
        return pass_with<SgdStep, T>(All::sgd, settings, state, step);
      case Method::momentum:
        return pass_with<MomentumStep, T>(All::momentum, settings, state, step);
    }
  };
  state.values.dtype() == DType::f32 ? with(Type<float>{}) : with(Type<double>{});
}

void commit(Tensor& to, const Tensor& from, const Tensor& step) {
  const auto words = static_cast<std::int64_t>(to.bytes() / sizeof(std::uint32_t));
  launch(commit_variant, copy_words, threads_for(words), static_cast<std::uint32_t*>(to.raw()),
         static_cast<const std::uint32_t*>(from.raw()), words,
         static_cast<const StepState*>(step.raw()));
}

const Registered<OptimiserBackend> registered(optimiser_family(), Device::cuda, Source::own,
                                              {"flat", guard_workspace, guard, check_finite, pass,
                                               commit});

}  // namespace
}  // namespace likely::kernels
