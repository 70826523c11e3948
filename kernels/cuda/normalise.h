// What the kernels of normalisation share on CUDA: the problem with its types, slopes, and pairs of
// sums.
#pragma once
#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/lanes.h"
#include "kernels/normalise.h"
#include "kernels/normalise_groups.h"

namespace likely::kernels::cuda {

// Σ h and Σ h (x - mean), joined side by side; h is x - mean where moments are taken.
template <class A>
struct Pair {
  A h, hx;
};
template <class A>
LIKELY_DEVICE Pair<A> across(const Pair<A>& x, int bit) {
  return {cuda::across(x.h, bit), cuda::across(x.hx, bit)};
}
template <class A>
struct PairSum {
  using Value = Pair<A>;
  LIKELY_DEVICE static Value start() { return {A(-0.0), A(-0.0)}; }
  LIKELY_DEVICE static Value join(const Value& a, const Value& b) {
    return {a.h + b.h, a.hx + b.hx};
  }
};

// The gradient before the activation, from that after it and the value, or silu's argument.
template <class A>
LIKELY_DEVICE A before(const Normalise& how, A g, A y, A argument) {
  switch (how.activation) {
    case Activation::none:
      break;
    case Activation::relu:
      return ReluFromOutput{}(g, y);
    case Activation::leaky_relu:
      return LeakyReluFromOutput{how.slope}(g, y);
    case Activation::tanh:
      return TanhFromOutput{}(g, y);
    case Activation::sigmoid:
      return SigmoidFromOutput{}(g, y);
    case Activation::silu:
      return SiluFromInput{}(g, argument);
  }
  return g;
}

// The problem with its types, and a thread's view of it.
template <class T>
struct Typed {
  using A = Computed<T>;
  static constexpr int size = Pack<T>::size;

  std::int64_t images, positions, channels, group;
  const T *x, *g, *y;
  A *mean, *variance;
  const A *offset, *scale, *shift;
  A *sum_shift, *sum_scale;
  T* out;
  A epsilon;
  Normalise how;
  bool aligned;

  explicit Typed(const NormaliseProblem& p)
      : images(p.images),
        positions(p.positions),
        channels(p.channels),
        group(p.group),
        x(static_cast<const T*>(p.x)),
        g(static_cast<const T*>(p.g)),
        y(static_cast<const T*>(p.y)),
        mean(static_cast<A*>(p.mean)),
        variance(static_cast<A*>(p.variance)),
        offset(static_cast<const A*>(p.offset)),
        scale(static_cast<const A*>(p.scale)),
        shift(static_cast<const A*>(p.shift)),
        sum_shift(static_cast<A*>(p.sum_shift)),
        sum_scale(static_cast<A*>(p.sum_scale)),
        out(static_cast<T*>(p.out)),
        epsilon(static_cast<A>(p.how.epsilon)),
        how(p.how),
        aligned(aligned16(p.x) && aligned16(p.g) && aligned16(p.y) && aligned16(p.out) &&
                (p.images * p.positions == 1 || p.channels % size == 0)) {}

  LIKELY_DEVICE A inverse_sd(std::int64_t of) const { return 1 / sqrt(variance[of] + epsilon); }
  LIKELY_DEVICE A factor(std::int64_t image, std::int64_t channel) const {
    return (scale ? scale[channel] : A(1)) * inverse_sd(image * channels + channel);
  }
  LIKELY_DEVICE A term(std::int64_t channel) const { return shift ? shift[channel] : A(0); }
};

// value[k] = what(k) for the channels that a thread has, 0 beyond.
template <class A, int size, class F>
LIKELY_DEVICE void each(A (&value)[size], std::int64_t left, F what) {
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    value[k] = k < left ? what(k) : A(0);
}

// The mean, over all elements that share moments with a thread's channels from `channel` on, of
// scale (or 1) times what `sums` are of: from channel `from` on, which begins a group.
template <class T, class A, int size>
LIKELY_DEVICE void each_mean(A (&to)[size], const Typed<T>& of, std::int64_t left,
                             std::int64_t channel, const A* sums, std::int64_t from,
                             const A* scale) {
  const A count = static_cast<A>(of.positions) * static_cast<A>(of.group);
  each(to, left, [&](int k) {
    const std::int64_t first = (channel + k) / of.group * of.group;
    return k > 0 && first != channel + k
               ? to[k - 1]
               : group_sum(sums + (first - from), scale ? scale + first : nullptr, of.group) /
                     count;
  });
}

// What is left of the gradient where moments are functions of x,
//   (scale h - mean of scale h - x̂ · mean of scale h x̂) / sd = factor h + tilt (x - mean) + level,
// of the two means that a thread's channels have, from the statistics' index `at` on.
template <class T, class A, int size>
LIKELY_DEVICE void of_centred(const Typed<T>& of, std::int64_t left, std::int64_t at,
                              A (&level)[size], A (&tilt)[size]) {
  each(level, left, [&](int k) { return -level[k] * of.inverse_sd(at + k); });
  each(tilt, left, [&](int k) { return -tilt[k] * of.inverse_sd(at + k) * of.inverse_sd(at + k); });
}

// Normalisation whose moments are of each image, in one pass (normalise_panels.cu).
bool panel_serves(const NormaliseProblem& problem);
void fill_panels(const NormaliseProblem& problem, void* workspace);

}  // namespace likely::kernels::cuda
