// Every pointwise formula, once, as a scalar template: evaluated on numbers it gives the value, on
// dual numbers the gradients. Constants are members, trivially copyable. Formulas are listed below.
// One may declare what of it is identically zero, so that nothing is computed for it: `straight`,
// its second derivatives; `flat`, a bit for each input along which it does not change but at jumps.
#pragma once
#include "kernels/dual.h"

namespace likely::kernels {

// ---- Arithmetic

struct Add {
  static constexpr const char* name = "add";
  template <class T>
  LIKELY_HD T operator()(const T& a, const T& b) const {
    return a + b;
  }
};
struct Subtract {
  static constexpr const char* name = "subtract";
  template <class T>
  LIKELY_HD T operator()(const T& a, const T& b) const {
    return a - b;
  }
};
struct Multiply {
  static constexpr const char* name = "multiply";
  template <class T>
  LIKELY_HD T operator()(const T& a, const T& b) const {
    return a * b;
  }
};
struct Divide {
  static constexpr const char* name = "divide";
  template <class T>
  LIKELY_HD T operator()(const T& a, const T& b) const {
    return a / b;
  }
};
struct DivideBy {
  static constexpr const char* name = "divide_by";
  double divisor;
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return x / Scalar<T>(divisor);
  }
};
struct Negate {
  static constexpr const char* name = "negate";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return -x;
  }
};
struct Scale {
  static constexpr const char* name = "scale";
  double factor;
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return x * Scalar<T>(factor);
  }
};
struct Shift {
  static constexpr const char* name = "shift";
  double term;
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return x + Scalar<T>(term);
  }
};
struct Square {
  static constexpr const char* name = "square";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return x * x;
  }
};
struct Reciprocal {
  static constexpr const char* name = "reciprocal";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return Scalar<T>(1) / x;
  }
};
struct Sqrt {
  static constexpr const char* name = "sqrt";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return sqrt(x);
  }
};
struct Abs {  // slope 0 at 0
  static constexpr const char* name = "abs";
  static constexpr bool straight = true;
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return abs(x);
  }
};
struct Clamp {  // slope 1 inside and on the ends
  static constexpr const char* name = "clamp";
  static constexpr bool straight = true;
  double low, high;
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    const Scalar<T> a(low), b(high);
    return where(x < a, T(a), where(x > b, T(b), x));
  }
};

// ---- Elementary functions

struct Exp {
  static constexpr const char* name = "exp";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return exp(x);
  }
};
struct Log {
  static constexpr const char* name = "log";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return log(x);
  }
};
struct Erf {
  static constexpr const char* name = "erf";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return erf(x);
  }
};
struct Softplus {  // log(1 + eˣ)
  static constexpr const char* name = "softplus";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return softplus(x);
  }
};

// ---- Activations

struct Tanh {
  static constexpr const char* name = "tanh";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return tanh(x);
  }
};
struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return sigmoid(x);
  }
};
struct Relu {  // slope 0 at 0
  static constexpr const char* name = "relu";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return where(x <= 0, T(0), x);
  }
};
struct LeakyRelu {  // the slope at 0 is `slope`
  static constexpr const char* name = "leaky_relu";
  static constexpr bool straight = true;
  double slope;
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return where(x <= 0, x * Scalar<T>(slope), x);
  }
};
struct Silu {
  static constexpr const char* name = "silu";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return x * sigmoid(x);
  }
};
struct Gelu {  // x Φ(x)
  static constexpr const char* name = "gelu";
  template <class T>
  LIKELY_HD T operator()(const T& x) const {
    return 0.5f * x * (1 + erf(x * Scalar<T>(0.70710678118654752)));
  }
};
struct GatedTanh {  // WaveNet's gate
  static constexpr const char* name = "gated_tanh";
  template <class T>
  LIKELY_HD T operator()(const T& f, const T& g) const {
    return tanh(f) * sigmoid(g);
  }
};

// g times the derivative of an activation, from its value y. (Leaky ReLU's slope is not below 0.)
struct TanhFromOutput {
  static constexpr const char* name = "tanh_from_output";
  template <class T>
  LIKELY_HD T operator()(const T& g, const T& y) const {
    return g * (1 - y * y);
  }
};
struct SigmoidFromOutput {
  static constexpr const char* name = "sigmoid_from_output";
  template <class T>
  LIKELY_HD T operator()(const T& g, const T& y) const {
    return g * (y * (1 - y));
  }
};
struct ReluFromOutput {
  static constexpr const char* name = "relu_from_output";
  static constexpr bool straight = true;
  static constexpr unsigned flat = 1u << 1;
  template <class T>
  LIKELY_HD T operator()(const T& g, const T& y) const {
    return where(y <= 0, T(0), g);
  }
};
struct LeakyReluFromOutput {
  static constexpr const char* name = "leaky_relu_from_output";
  static constexpr bool straight = true;
  static constexpr unsigned flat = 1u << 1;
  double slope;
  template <class T>
  LIKELY_HD T operator()(const T& g, const T& y) const {
    return where(y <= 0, g * Scalar<T>(slope), g);
  }
};
// The same for silu, from its argument. (Normalisation has it in its loops; pointwise() does not.)
struct SiluFromInput {
  template <class T>
  LIKELY_HD T operator()(const T& g, const T& x) const {
    const T s = 1 / (1 + exp(-x));  // no need of sigmoid()'s last bit
    return g * (s * (1 + x * (1 - s)));
  }
};

// ---- Likelihoods; log_variance is the logarithm of the variance

struct BernoulliLogProb {  // log p(x | logits), x in [0, 1]
  static constexpr const char* name = "bernoulli_log_prob";
  template <class T>
  LIKELY_HD T operator()(const T& x, const T& logits) const {
    return x * logits - softplus(logits);
  }
};
struct NormalLogProb {
  static constexpr const char* name = "normal_log_prob";
  template <class T>
  LIKELY_HD T operator()(const T& x, const T& mean, const T& log_variance) const {
    const T difference = x - mean;
    const Scalar<T> log_two_pi(1.8378770664093453);
    return -0.5f * (log_variance + difference * difference * exp(-log_variance) + log_two_pi);
  }
};
// Salimans et al. 2017, eq. 2: the mass that a logistic has between x - half and x + half, where x
// takes values from -1 to 1, `2 half` apart; those of the first and last reach to infinity.
struct DiscretisedLogisticLogProb {
  static constexpr const char* name = "discretised_logistic_log_prob";
  double half;
  template <class T>
  LIKELY_HD T operator()(const T& x, const T& mean, const T& log_scale) const {
    const Scalar<T> h(half);
    const T inverse = exp(-log_scale), centred = x - mean, y = h * inverse, square = y * y;
    // σ(a) - σ(b) = σ(a) σ(-b) (1 - e^(b-a)) does not cancel, nor does a - b = 2 y: the last factor
    // is 2 e^-y sinh y, by sinh's series where y is small.
    const T tail = 1 + square * (1 + square * Scalar<T>(1. / 110)) * Scalar<T>(1. / 72);
    const T series = 1 + square * (1 + square * tail * Scalar<T>(1. / 42)) * Scalar<T>(1. / 20);
    const T sinh = y * (1 + square * series * Scalar<T>(1. / 6));
    const T between = log(where(y < 0.5f, 2 * exp(-y) * sinh, 1 - exp(-2 * y)));
    const bool lowest = x < h - 1;
    const bool highest = x > 1 - h;
    return where(lowest | highest, T(0), between) -
           where(highest, T(0), softplus((-h - centred) * inverse)) -
           where(lowest, T(0), softplus((centred - h) * inverse));
  }
};
struct StandardNormalKl {  // KL(N(mean, e^log_variance) ‖ N(0, 1))
  static constexpr const char* name = "standard_normal_kl";
  template <class T>
  LIKELY_HD T operator()(const T& mean, const T& log_variance) const {
    return 0.5f * (mean * mean + exp_above_tangent(log_variance));
  }
};
struct NormalKl {  // KL(N(mean, e^log_variance) ‖ N(mean2, e^log_variance2))
  static constexpr const char* name = "normal_kl";
  template <class T>
  LIKELY_HD T operator()(const T& mean, const T& log_variance, const T& mean2,
                         const T& log_variance2) const {
    const T difference = mean - mean2, log_ratio = log_variance - log_variance2;
    return 0.5f * (difference * difference * exp(-log_variance2) + exp_above_tangent(log_ratio));
  }
};
// What one outcome adds to KL(p ‖ q), if those of all are summed: p (e^r - 1 - r) with r = log q -
// log p. Since p and q sum to 1 that is Σ p log (p / q); here no term is negative.
struct KlTerm {
  static constexpr const char* name = "kl_term";
  template <class T>
  LIKELY_HD T operator()(const T& log_p, const T& log_q) const {
    const T r = log_q - log_p, p = exp(log_p);
    const bool near = (r < 0.5f) & (r > -0.5f);  // further out e^r may overflow, where p is 0
    return where(near, p * exp_above_tangent(r), exp(log_q) - p - p * r);
  }
};
struct Reparameterise {  // a draw from N(mean, e^log_variance), noise from N(0, 1)
  static constexpr const char* name = "reparameterise";
  template <class T>
  LIKELY_HD T operator()(const T& mean, const T& log_variance, const T& noise) const {
    return mean + exp(0.5f * log_variance) * noise;
  }
};

// ---- The list: backends build their tables from it.

template <class... F>
struct List {};

using Formulas =
    List<Add, Subtract, Multiply, Divide, Negate, Scale, Shift, Square, Reciprocal, Sqrt, Abs,
         Clamp, Exp, Log, Erf, Softplus, Tanh, Sigmoid, Relu, LeakyRelu, Silu, Gelu, GatedTanh,
         TanhFromOutput, SigmoidFromOutput, ReluFromOutput, LeakyReluFromOutput, BernoulliLogProb,
         NormalLogProb, DiscretisedLogisticLogProb, StandardNormalKl, NormalKl, Reparameterise,
         DivideBy, KlTerm>;

// The place of F in a list, or -1.
template <class F, class... All>
constexpr int index_of(List<All...>) {
  int index = 0;
  const bool found = ((std::is_same_v<F, All> ? true : (++index, false)) || ...);
  return found ? index : -1;
}
template <class F>
constexpr bool is_straight() {
  if constexpr (requires { F::straight; })
    return F::straight;
  else
    return false;
}
template <class F>
constexpr unsigned flat_inputs() {
  if constexpr (requires { F::flat; })
    return F::flat;
  else
    return 0;
}
// How many tensors a formula reads.
template <class F>
LIKELY_HD constexpr int arity() {
  if constexpr (std::is_invocable_v<F, float>)
    return 1;
  else if constexpr (std::is_invocable_v<F, float, float>)
    return 2;
  else if constexpr (std::is_invocable_v<F, float, float, float>)
    return 3;
  else
    return 4;
}

}  // namespace likely::kernels
